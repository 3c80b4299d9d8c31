/** coreutils, procps and other everyday programs by install path. */
import type { Program } from '../../kernel/sys.ts';
import type { ProgramTable } from '../programs.ts';
import { chgrp, chmod, chown } from './attributes.ts';
import { wc } from './count.ts';
import { cp, install, mv } from './cp.ts';
import { link, ln, mkdir, mkfifo, mknod, mktemp, touch, truncate } from './create.ts';
import { df, du, stat } from './disk.ts';
import { head, tail } from './ends.ts';
import { grep } from './grep.ts';
import { ls } from './ls.ts';
import { printf } from './printf.ts';
import { ps } from './ps.ts';
import { rm, rmdir, unlink } from './remove.ts';
import { kill, killall, pgrep, pidof, pkill } from './signals.ts';
import {
  basename, clear, dirname, echo, env, falseProgram, nproc, printenv, pwd, readlink, realpath, reset, seq, sleep, sync, trueProgram, tty, which, whoami, yesProgram,
} from './small.ts';
import { chroot, date, dmesg, free, groups, hostname, id, logname, uname, uptime } from './system.ts';
import { cat, fold, nl, paste, rev, split, tac, tee } from './texts.ts';

const USR_BIN: Readonly<Record<string, Program>> = {
  basename, cat, chgrp, chmod, chown, clear, cp, date, df, dirname, dmesg, du, echo, egrep: grep, env, false: falseProgram, fgrep: grep, fold, free, grep, groups, head, hostname, id, install, kill,
  killall, link, ln, logname, ls, mkdir, mkfifo, mknod, mktemp, mv, nl, nproc, paste, pgrep, pidof, pkill, printenv, printf, ps, pwd, readlink, realpath, reset, rev, rm, rmdir, seq, sleep, split, stat,
  sync, tac, tail, tee, touch, true: trueProgram, truncate, tty, uname, unlink, uptime, wc, which, whoami, yes: yesProgram,
};

const at = (dir: string, programs: Readonly<Record<string, Program>>): ProgramTable => Object.fromEntries(Object.entries(programs).map(([name, program]) => [`${dir}/${name}`, program]));

export const coreutils: ProgramTable = { ...at('/usr/bin', USR_BIN), ...at('/usr/sbin', { chroot }) };
