"""The OpenAPI document: every public route, nothing from elsewhere."""

import pytest
from litestar import Litestar
from litestar.handlers import ASGIRouteHandler, HTTPRouteHandler
from litestar.testing import TestClient

from tests.api.conftest import World

NOT_PUBLIC = {"/metrics", "/schema", "/schema/{path}", "/schema/openapi.json"}

ELSEWHERE = ("/personalizer", "/s/", "/ofrep/")  # their protocols' own documents describe these


def test_every_public_route_is_in_the_document(
    worn: TestClient[Litestar], worn_world: World
) -> None:
    paths = worn.get("/schema/openapi.json").json()["paths"]
    routes = {
        (route.path_format, method.lower())
        for route in worn_world.app().routes
        for handler in getattr(route, "route_handlers", None) or [route.route_handler]
        for method in ({"POST"} if isinstance(handler, ASGIRouteHandler) else handler.http_methods)
        if isinstance(handler, HTTPRouteHandler | ASGIRouteHandler) and method != "OPTIONS"
    }
    public = {
        (path, method)
        for path, method in routes
        if path not in NOT_PUBLIC and not path.startswith(ELSEWHERE)
    }
    assert {(path, method) for path in paths for method in paths[path]} == public
    assert ("/v1/rank", "post") in public


def test_hot_routes_are_described_by_the_types_that_decode_them(
    worn: TestClient[Litestar],
) -> None:
    document = worn.get("/schema/openapi.json").json()
    operation = document["paths"]["/v1/rank"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/RankRequest"}
    request = document["components"]["schemas"]["RankRequest"]
    assert set(request["required"]) == {"surface", "unit_id"}
    rewards = document["paths"]["/v1/rewards"]["post"]["requestBody"]
    assert len(rewards["content"]["application/json"]["schema"]["anyOf"]) == 2


def test_every_reference_leads_somewhere(worn: TestClient[Litestar]) -> None:
    response = worn.get("/schema/openapi.json")
    schemas = response.json()["components"]["schemas"]
    named = {part.split('"')[0] for part in response.text.split("#/components/schemas/")[1:]}
    assert named <= set(schemas)
    assert "Problem" in named


def test_every_route_tells_its_errors_as_problem_documents(worn: TestClient[Litestar]) -> None:
    for path, operations in worn.get("/schema/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            content = operation["responses"]["default"]["content"]
            assert list(content) == ["application/problem+json"], (path, method)


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json"])
def test_documents_load_nothing_from_elsewhere(worn: TestClient[Litestar], path: str) -> None:
    response = worn.get(path)
    assert response.status_code == 200
    assert "https://" not in response.text.replace("https://json-schema.org", "")
    assert "<script" not in response.text
    assert "/v1/rank" in response.text


def test_bodies_are_described_as_they_are_read(worn: TestClient[Litestar]) -> None:
    """Litestar's own description of a pair of numbers is no schema; and a key may be left out."""
    document = worn.get("/schema/openapi.json").json()
    put = document["paths"]["/v1/layers/{key}"]["put"]
    schema = put["requestBody"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/LayerDeclaration"}
    declaration = document["components"]["schemas"]["LayerDeclaration"]
    assert declaration["required"] == ["salt"]
    assert declaration["additionalProperties"] is False
    bucket = {"type": "integer", "minimum": 0, "maximum": 10000}
    assert declaration["properties"]["holdout"]["items"] == {
        "type": "array", "minItems": 2, "maxItems": 2, "items": bucket,
    }  # fmt: skip
    assert set(put["responses"]) == {"200", "201", "default"}


def test_names_of_types_are_short_and_tell_apart_what_shares_one(
    worn: TestClient[Litestar],
) -> None:
    schemas = worn.get("/schema/openapi.json").json()["components"]["schemas"]
    assert not [name for name in schemas if "." in name]
    assert "place" in schemas["Problem"]["properties"]
    assert "writer" in schemas["Health"]["properties"]


def test_options_name_every_method_of_a_path(worn: TestClient[Litestar]) -> None:
    """Litestar named only those that were registered before the last handler of a path."""
    for path, operations in worn.get("/schema/openapi.json").json()["paths"].items():
        if path in ("/v1/rank", "/v1/rewards"):
            continue
        allowed = worn.options(path.replace("{", "").replace("}", "")).headers["allow"]
        named = {method.lower() for method in allowed.split(", ")}
        assert named == {*operations, "options"}, path


def test_the_document_says_where_a_key_goes(worn: TestClient[Litestar]) -> None:
    document = worn.get("/schema/openapi.json").json()
    assert document["security"] == [{"key": []}, {}]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
