/** Fields and elements of the tree of one message (1 MiB of empty submessages would be half a million). */
export const TREE_ELEMENTS = 10_000;
/** Characters of the values of one tree; a request for more is a program's, which gets JSON and no tree. */
export const TREE_CHARACTERS = 1024 * 1024;
