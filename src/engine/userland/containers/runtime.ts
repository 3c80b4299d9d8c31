/** The runtime, its daemons and clients, and what runs inside images, by install path. */
import type { ProgramTable } from '../programs.ts';
import { cni } from './cni/table.ts';
import { containerd } from './containerd/containerd.ts';
import { crictl } from './crictl/crictl.ts';
import { ctr } from './ctr/ctr.ts';
import { imagePrograms } from './programs/table.ts';
import { runc } from './runc/runc.ts';
import { shim } from './shim/shim.ts';

export const runtime: ProgramTable = {
  '/usr/sbin/runc': runc,
  '/usr/bin/containerd': containerd,
  '/usr/bin/containerd-shim-runc-v2': shim,
  '/usr/bin/crictl': crictl,
  '/usr/bin/ctr': ctr,
  ...cni,
  ...imagePrograms,
};
