"""The bake-off: our policies and peers on ten real data sets; see `data`, `worlds` and `entries`."""
