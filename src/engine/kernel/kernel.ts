/**
 * The kernel as the world composes it: created, given its event handlers, booted from a tree, fed keys and bytes. All
 * behaviour is in the files named after it; this one only joins them.
 */
