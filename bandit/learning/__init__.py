"""Tail ⋈ join window → train → snapshot."""
