"""What differs between one node and a cluster, in one place.

| placeholder | one node | cluster |
| --- | --- | --- |
| `$database` | name of the database | the same |
| `$cluster` | empty | name of the cluster |
| `$on_cluster` | empty | ` ON CLUSTER '<cluster>'` |
| `$local` | empty | `_local`, the table that holds a shard's rows |
| `$replicated` | empty | `Replicated`; path and replica come from the server's defaults |
| `$durable` | settings that survive power loss and repeated blocks | the same for replicas |

On a cluster the plain name of a table is a `Distributed` table over all shards' `_local` ones, so
that queries and inserts are written once.
"""

from string import Template

_ONE_NODE = (
    "non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1"
)
_REPLICAS = (
    "replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800"
)


def render(text: str, *, database: str, cluster: str | None) -> str:
    """Fill in the placeholders of a statement.

    >>> render("ALTER TABLE $database.t$local$on_cluster", database="db", cluster="main")
    "ALTER TABLE db.t_local ON CLUSTER 'main'"

    Raises:
        KeyError: A placeholder that is not in the table above.
    """
    return Template(text).substitute(
        database=database,
        cluster=cluster or "",
        on_cluster=f" ON CLUSTER '{cluster}'" if cluster else "",
        local="_local" if cluster else "",
        replicated="Replicated" if cluster else "",
        durable=_REPLICAS if cluster else _ONE_NODE,
    )
