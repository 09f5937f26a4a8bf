"""Paths in nodes that no datablock stands for: IES lights, OSL scripts, and what geometry nodes import. Those of geometry
nodes may be given from outside: by a group's instance, by a modifier, or by a node with a text.
"""

FILE_PATH_SOCKET = "NodeSocketStringFilePath"


class ModifierInput:
    """An input of a modifier of geometry nodes, as something with a value."""

    def __init__(self, modifier, key):
        self._modifier, self._key = modifier, key

    @property
    def value(self):
        return self._modifier[self._key]

    @value.setter
    def value(self, value):
        self._modifier[self._key] = value


def origin_of(socket):
    """The socket that a linked one gets its value from."""
    while socket.is_linked:
        link = socket.links[0]
        if link.from_node.type != "REROUTE":
            return link.from_socket
        socket = link.from_node.inputs[0]
    return None


def interface_of(tree):
    """The inputs of a tree; before 4.0 none of them can be a path."""
    items = tree.interface.items_tree if hasattr(tree, "interface") else ()
    return [item for item in items if item.item_type == "SOCKET" and item.in_out == "INPUT"]


def path_inputs(tree, known):
    """The inputs of a tree, by identifier, that are paths: they say so, or go where a path is wanted."""
    if tree not in known:
        known[tree] = {item.identifier for item in interface_of(tree) if getattr(item, "subtype", "") == "FILE_PATH"}
        origins = [origin_of(socket) for _, socket in path_sockets(tree, known)]
        known[tree] |= {origin.identifier for origin in origins if origin and origin.node.type == "GROUP_INPUT"}
    return known[tree]


def path_sockets(tree, known):
    """(node, socket) where a path is wanted."""
    for node in tree.nodes:
        inner = getattr(node, "node_tree", None)
        wanted = path_inputs(inner, known) if inner else ()
        for socket in node.inputs:
            if socket.bl_idname == FILE_PATH_SOCKET or socket.identifier in wanted:
                yield node, socket


def tree_paths(tree):
    """(node, owner, property) of the paths that a tree's nodes have; a path counts for the node that it is for."""
    for node in tree.nodes:
        if getattr(node, "mode", None) == "EXTERNAL" and hasattr(node, "filepath"):
            yield node, node, "filepath"
    for node, socket in path_sockets(tree, {}):
        origin = origin_of(socket)
        if not socket.is_linked:
            yield node, socket, "default_value"
        elif origin and origin.node.bl_idname == "FunctionNodeInputString":
            yield node, origin.node, "string"


def modifier_paths(modifier):
    """(owner, property) of the paths that a modifier of geometry nodes hands to them."""
    wanted = path_inputs(modifier.node_group, {}) if modifier.node_group else ()
    return [(ModifierInput(modifier, key), "value") for key in sorted(wanted) if isinstance(modifier.get(key), str)]
