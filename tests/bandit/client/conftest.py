from collections.abc import Iterator

import pytest

from bandit.client import BanditClient
from tests.bandit.client.serving import Service, client_of


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def client(service: Service) -> Iterator[BanditClient]:
    with client_of(service) as client:
        yield client
