"""Which node of a pipeline waits for which."""

from collections.abc import Mapping, Sequence

from tfx.dsl.components.base.base_node import BaseNode

Graph = dict[str, list[str]]


def node_graph(nodes: Sequence[BaseNode]) -> Graph:
    """Each node with those that it waits for directly, and for no other's sake.

    A node that takes the examples, and a model made from them, waits for the model alone: with that the examples are
    there, too. The graph is small enough for an exec property, and can be drawn.

    Args:
        nodes: In an order in which they can run.
    """
    waits = {
        node.id: {channel.producer_component_id for channel in node.inputs.values()}
        | {upstream.id for upstream in node.upstream_nodes}
        for node in nodes
    }
    return reduced(waits)


def reduced(waits: Mapping[str, set[str]]) -> Graph:
    """The transitive reduction of a graph: the fewest edges that say the same.

    >>> reduced({"a": set(), "b": {"a"}, "c": {"a", "b"}})
    {'a': [], 'b': ['a'], 'c': ['b']}

    Args:
        waits: Node: those that it waits for, each of which stands before it.
    """
    before: dict[str, set[str]] = {}
    graph: Graph = {}
    for node, direct in waits.items():
        implied = set().union(*(before[other] for other in direct))
        before[node] = direct | implied
        graph[node] = sorted(direct - implied)
    return graph


def last_nodes(graph: Graph) -> list[str]:
    """The nodes that no other one waits for."""
    waited_for = set().union(*graph.values())
    return sorted(node for node in graph if node not in waited_for)
