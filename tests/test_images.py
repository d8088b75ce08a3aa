from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from clothes_toolkit import containers
from clothes_toolkit.containers import PNG_SIGNATURE, read_container
from clothes_toolkit.errors import ToolkitError
from clothes_toolkit.images import Damage, ImageFacts, inspect, open_image, pixels_hash
from clothes_toolkit.naming import Side
from tests.conftest import draw_picture


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def gradient(size: tuple[int, int] = (90, 70)) -> Image.Image:
    return Image.merge(
        "RGB", [Image.linear_gradient("L").rotate(90 * n).resize(size) for n in range(3)]
    )


def facts_of(data: bytes, path: Path) -> ImageFacts:
    path.write_bytes(data)
    return inspect(path, Side.SKETCH)


def pixels_of(data: bytes, path: Path) -> str:
    path.write_bytes(data)
    return pixels_hash(open_image(path))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "image.png"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_sound_image(form: str, file: Path) -> None:
    facts = facts_of(encoded(gradient(), form), file)
    assert (facts.format, facts.width, facts.height, facts.frames) == (form, 90, 70, 1)
    assert facts.damage is None
    assert facts.trailing == 0
    assert not facts.transparent
    assert facts.pixels
    assert ImageFacts.from_json(facts.to_json(), facts.miniature) == facts


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_bytes_after_the_end_are_counted(form: str, file: Path) -> None:
    data = encoded(gradient(), form)
    facts = facts_of(data + b"tail", file)
    assert facts.trailing == 4
    seen = pixels_of(data + b"tail", file)
    assert seen == pixels_of(data, file)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_no_cut_passes_for_whole(form: str, file: Path) -> None:
    data = encoded(gradient((40, 30)), form)
    for length in range(len(data)):
        facts = facts_of(data[:length], file)
        assert facts.damage in (Damage.UNREADABLE, Damage.TRUNCATED), length
        assert facts.pixels is None


def test_a_png_without_its_end_is_truncated(file: Path) -> None:
    data = encoded(gradient(), "PNG")
    assert facts_of(data[:-12], file).damage is Damage.TRUNCATED


def test_a_png_with_a_wrong_checksum_is_truncated(file: Path) -> None:
    data = bytearray(encoded(gradient(), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 1
    assert facts_of(bytes(data), file).damage is Damage.TRUNCATED


@pytest.mark.parametrize("data", [b"", b"not an image", b"\x89PNG", PNG_SIGNATURE])
def test_what_is_no_image_is_unreadable(data: bytes, file: Path) -> None:
    facts = facts_of(data, file)
    assert facts.damage in (Damage.UNREADABLE, Damage.TRUNCATED)
    assert facts.detail


def test_a_bomb_is_found_before_it_is_decoded(file: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    data = PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    assert facts_of(data, file).damage is Damage.OVERSIZED


def test_more_than_fifty_megapixels_is_oversized(file: Path) -> None:
    facts = facts_of(encoded(Image.new("1", (8000, 6251)), "PNG"), file)
    assert facts.damage is Damage.OVERSIZED
    assert (facts.width, facts.height) == (8000, 6251)
    assert facts_of(encoded(Image.new("1", (8000, 6250)), "PNG"), file).damage is None


def test_frames_are_counted(file: Path) -> None:
    frames = [gradient(), gradient().rotate(180)]
    for form in ("PNG", "WEBP"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert facts_of(data, file).frames == 2


def test_equal_pixels_are_equal_whatever_the_file(file: Path) -> None:
    picture = gradient()
    same = [
        encoded(picture, "PNG"),
        encoded(picture, "PNG", compress_level=1),
        encoded(picture, "WEBP", lossless=True),
        encoded(picture.convert("RGBA"), "PNG"),
    ]
    assert len({pixels_of(data, file) for data in same}) == 1
    other = picture.copy()
    other.putpixel((0, 0), (1, 2, 3))
    assert pixels_of(encoded(other, "PNG"), file) != pixels_of(same[0], file)


def test_equal_bytes_of_another_shape_are_other_pixels(file: Path) -> None:
    wide = pixels_of(encoded(Image.new("RGB", (100, 80)), "PNG"), file)
    high = pixels_of(encoded(Image.new("RGB", (80, 100)), "PNG"), file)
    assert wide != high


def test_transparency_is_flattened_on_white(file: Path) -> None:
    layer = Image.new("RGBA", (70, 70), (0, 0, 0, 0))
    facts = facts_of(encoded(layer, "PNG"), file)
    assert facts.transparent
    assert facts.ink == 0
    assert open_image(file).getextrema() == ((255, 255),) * 3
    assert not facts_of(encoded(gradient().convert("RGBA"), "PNG"), file).transparent


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_mode_opens_as_rgb(mode: str, file: Path) -> None:
    image = gradient().convert("L").convert("I") if mode == "I;16" else gradient()
    if mode == "I;16":
        image = image.point(lambda level: level * 257)
    form = "JPEG" if mode == "CMYK" else "PNG"
    facts = facts_of(encoded(image.convert(mode), form), file)
    assert facts.pixels
    picture = open_image(file)
    assert picture.mode == "RGB"
    histogram = picture.convert("L").histogram()
    assert sum(histogram[:80]) > 0 < sum(histogram[180:])


def test_a_photo_taken_sideways_stands_upright(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    file.write_bytes(encoded(gradient((90, 70)), "JPEG", exif=exif))
    assert open_image(file).size == (70, 90)


def test_ink_color_and_shading_tell_drawings_from_photos(tmp_path: Path) -> None:
    draw_picture(tmp_path / "sketch.png", 3, photo=False)
    draw_picture(tmp_path / "photo.png", 3, photo=True)
    sketch, photo = (inspect(tmp_path / f"{name}.png", Side.SKETCH) for name in ("sketch", "photo"))
    assert 0 < sketch.ink < 0.1
    assert sketch.color == sketch.shading == 0
    assert photo.color > 0.2


def test_open_image_says_what_is_wrong(file: Path) -> None:
    file.write_bytes(b"nothing")
    with pytest.raises(ToolkitError, match="no known image format"):
        open_image(file)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert inspect(tmp_path / "pipe.png", Side.PHOTO).damage is Damage.UNREADABLE


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_bytes_never_raise(data: st.DataObject, file: Path) -> None:
    form = data.draw(st.sampled_from(["PNG", "JPEG", "WEBP"]))
    whole = bytearray(encoded(gradient((24, 20)), form))
    for _ in range(data.draw(st.integers(1, 5))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(facts_of(bytes(whole), file), ImageFacts)


@given(st.binary(max_size=200))
def test_any_bytes_have_a_structure_or_none(data: bytes) -> None:
    for start in (b"", PNG_SIGNATURE, b"\xff\xd8\xff", b"RIFF\x04\0\0\0WEBP"):
        container = read_container(start + data)
        assert container is None or container.end is None or container.end <= len(start + data)


def test_many_scans_are_read_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking to the end from every start of a scan would take quadratic time."""
    looks: list[int] = []
    real = containers._end_of_only_scan

    def counted(data: bytes, start: int) -> int | None:
        looks.append(start)
        return real(data, start)

    monkeypatch.setattr(containers, "_end_of_only_scan", counted)
    data = b"\xff\xd8" + b"\xff\xda\0\2" * 5000 + b"\xff\xd9"
    container = containers.read_container(data)
    assert container is not None
    assert container.end == len(data)
    assert len(looks) == 1


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0garbage garbage",
        # Turned, and with a resolution in letters.
        (
            b"Exif\0\0II*\0\x08\0\0\0\x02\0"
            b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
            b"\x1a\x01\x02\0\x04\0\0\0AAAA\0\0\0\0"
        ),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_damaged_metadata_do_not_damage_an_image(exif: bytes, form: str, file: Path) -> None:
    data = encoded(gradient(), "JPEG")
    if form == "JPEG":
        data = data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2) + exif + data[2:]
    else:
        data = encoded(gradient(), form, exif=exif)
    facts = facts_of(data, file)
    assert facts.damage is None, facts.detail
    turned = b"\x12\x01\x03" in exif
    assert open_image(file).size == ((70, 90) if turned else (90, 70))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int, file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file.write_bytes(encoded(gradient(), "PNG", exif=exif))
    with Image.open(file) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")
    assert open_image(file).tobytes() == expected.tobytes()
