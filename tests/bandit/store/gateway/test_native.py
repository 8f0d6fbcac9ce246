from bandit.store.gateway.native import header_block


def test_a_header_is_columns_no_rows_names_and_types() -> None:
    assert header_block([("id", "UUID"), ("ü", "String")]) == (
        b"\x02\x00\x02id\x04UUID\x02\xc3\xbc\x06String"
    )


def test_long_names_have_a_length_of_several_bytes() -> None:
    assert header_block([("x" * 300, "Int8")])[:5] == b"\x01\x00\xac\x02x"
