"""The bridge to the network: the only room that knows `arnet`."""
