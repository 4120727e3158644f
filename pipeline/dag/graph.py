"""Finds out which node of a pipeline waits for which."""

from collections.abc import Collection, Mapping, Sequence

from tfx.dsl.components.base.base_node import BaseNode

Graph = dict[str, list[str]]


def node_graph(nodes: Sequence[BaseNode]) -> Graph:
    """Returns each node with the nodes that it waits for directly, without those that these wait for.

    A node that takes the examples and a model made from them waits for the model alone: with the model the examples are
    there, too. The graph is small enough for an exec property, and can be drawn.

    Args:
        nodes: The nodes, in an order in which they can run.
    """
    waits = {
        node.id: {channel.producer_component_id for channel in node.inputs.values()}
        | {upstream.id for upstream in node.upstream_nodes}
        for node in nodes
    }
    return reduced(waits)


def reduced(waits: Mapping[str, set[str]]) -> Graph:
    """Returns the transitive reduction of a graph: the fewest edges that say the same.

    >>> reduced({"a": set(), "b": {"a"}, "c": {"a", "b"}})
    {'a': [], 'b': ['a'], 'c': ['b']}

    Args:
        waits: The nodes that each node waits for, by node; each of them stands before it.
    """
    before: dict[str, set[str]] = {}
    graph: Graph = {}
    for node, direct in waits.items():
        implied = set().union(*(before[other] for other in direct))
        before[node] = direct | implied
        graph[node] = sorted(direct - implied)
    return graph


def last_nodes(graph: Graph) -> list[str]:
    """Returns the nodes that no other node waits for."""
    waited_for = set().union(*graph.values())
    return sorted(node for node in graph if node not in waited_for)


def depth_first(waits: Mapping[str, Collection[str]]) -> list[str]:
    """Returns the nodes in an order in which they can run one after the other, what follows on a node right after it.

    So a variant is averaged and stored before the next one is trained, and its snapshots are gone by then.

    >>> depth_first({"a": [], "b": ["a"], "c": ["a"], "d": ["b"], "e": ["c", "d"]})
    ['a', 'b', 'd', 'c', 'e']

    Args:
        waits: The nodes that each node waits for, by node; of nodes that could run next the first one does.
    """
    left = {node: set(before) for node, before in waits.items()}
    ready = [node for node in reversed(left) if not left[node]]
    order = []
    while ready:
        order.append(ready.pop())
        for node in reversed(left):
            if order[-1] in left[node]:
                left[node].remove(order[-1])
                if not left[node]:
                    ready.append(node)
    return order
