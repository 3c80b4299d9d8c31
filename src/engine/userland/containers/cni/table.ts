/** CNI plugins by install path; machines that use them have them in /opt/cni/bin under their own names. */
import type { ProgramTable } from '../../programs.ts';
import { bridge, hostLocal, loopback } from './bridge.ts';

export const cni: ProgramTable = { '/usr/lib/cni/cni-bridge': bridge, '/usr/lib/cni/cni-host-local': hostLocal, '/usr/lib/cni/cni-loopback': loopback };
