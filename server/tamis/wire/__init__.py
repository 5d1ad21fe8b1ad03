"""The only code that knows both our values and the protobuf messages."""
