/** coreutils, procps and other everyday programs by install path, and busybox, which is most of them at once. */
import type { Program } from '../../kernel/sys.ts';
import { tar } from '../containers/programs/tar.ts';
import { net } from '../net/table.ts';
import type { ProgramTable } from '../programs.ts';
import { shellMain } from '../sh/shell.ts';
import { utilLinux } from '../util-linux/table.ts';
import { busyboxOf } from './busybox.ts';
import { GNU, GNU_SBIN, HINTS } from './gnu.ts';
import { packaged } from './package.ts';

const at = (dir: string, programs: Readonly<Record<string, Program>>): ProgramTable => Object.fromEntries(Object.entries(programs).map(([name, program]) => [`${dir}/${name}`, program]));

/** These take --version as any other word, or have their own. */
const PLAIN = new Set(['[', 'test', 'true', 'false', 'echo', 'printf', 'expr', 'sys']);

const installed: ProgramTable = packaged({ ...at('/usr/bin', GNU), ...at('/usr/sbin', GNU_SBIN) }, '(GNU coreutils) 9.7', PLAIN);

const hints = at('/usr/bin', HINTS);

const byName = new Map<string, Program>(
  Object.entries({ ...installed, ...utilLinux, ...net, '/usr/bin/tar': tar }).map(([path, program]) => [path.slice(path.lastIndexOf('/') + 1), program]),
);

export const coreutils: ProgramTable = { ...installed, ...hints, '/usr/bin/busybox': busyboxOf(byName, shellMain('ash')) };
