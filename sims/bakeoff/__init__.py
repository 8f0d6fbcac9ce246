"""The bake-off: our policies and peers on ten real data sets; `running` runs it."""
