/** The programs of every area, joined: all that there are. */
import { binutils } from './binutils/table.ts';
import { containers } from './containers/table.ts';
import { coreutils } from './coreutils/table.ts';
import { init } from './init/table.ts';
import { jqTable } from './jq/jq.ts';
import { kube } from './kube/table.ts';
import { net } from './net/table.ts';
import { python3 } from './python/table.ts';
import { shell } from './sh/table.ts';
import { remote } from './ssh/table.ts';
import { tracing } from './strace/table.ts';
import { allOf, type Programs } from './supply.ts';
import { utilLinux } from './util-linux/table.ts';
import { virt } from './virt/table.ts';

export const PROGRAMS: Programs = allOf({ ...init, ...shell, ...coreutils, ...utilLinux, ...tracing, ...net, ...virt, ...binutils, ...containers, ...kube, ...remote, ...python3, ...jqTable });
