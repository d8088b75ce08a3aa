"""Which images look the same: miniatures, hashes of them, a search, and a second, stronger look."""
