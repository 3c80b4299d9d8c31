/**
 * Every program of the modelled Linux by the path it is installed at: the registry that joins the areas of userland.
 * A binary on disk names its program by the path's last part; `kernel/vfs/build` writes such binaries from a Tree.
 */
import type { Program } from '../kernel/sys.ts';

/** Install path, such as "/usr/bin/ls", to program. */
export type ProgramTable = Readonly<Record<string, Program>>;
