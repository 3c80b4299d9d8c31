/** CNI plugins by install path; machines that use them have them in /opt/cni/bin under their own names. */
import type { ProgramTable } from '../../programs.ts';
import { bridge, loopback } from './bridge.ts';
import { flannel } from './flannel.ts';
import { hostLocal } from './ipam.ts';
import { portmap } from './portmap.ts';

export const CNI_PLUGINS = ['bridge', 'flannel', 'host-local', 'loopback', 'portmap'];

export const cni: ProgramTable = {
  '/usr/lib/cni/cni-bridge': bridge, '/usr/lib/cni/cni-flannel': flannel, '/usr/lib/cni/cni-host-local': hostLocal, '/usr/lib/cni/cni-loopback': loopback, '/usr/lib/cni/cni-portmap': portmap,
};
