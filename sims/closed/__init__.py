"""Closed loop: a world as clients of the running service, and its reports held against the truth.

`plan` says what is played and declared, `population` knows the truth, `client` plays it from
several processes, `books` is what those remember, `service` talks to the service about it, and
`judging` holds reports against truth and books. `bandit simulate service` runs all of it.
"""
