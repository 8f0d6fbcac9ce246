"""The Litestar edge: decode, call one use case, encode."""
