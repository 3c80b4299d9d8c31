/** docker's containers, from the records that dockerd keeps on the machine's disk and the control groups of the kernel. */
import type { ContainerRow } from '../../bridge/rows.ts';
import type { Kernel } from '../kernel/records.ts';
import { EPOCH_SECONDS, SECOND } from '../sim/units.ts';
import { parseIso } from '../userland/lib/clock.ts';
import { entriesOf, entryAt, jsonAt } from './disk.ts';
import { pathOf } from './names.ts';
import { columns, kernelsOf, type View } from './view.ts';

const ROOT = '/var/lib/docker/containers';

/** The parts of config.v2.json that views read. */
export interface ContainerFile {
  ID: string;
  Name: string;
  Created: string;
  Path: string;
  Args: string[];
  Config: { Image: string };
  State: { Status: string; Running: boolean; Pid: number; ExitCode: number; OOMKilled: boolean; StartedAt: string; FinishedAt: string };
  MountPoints?: { Type: string; Source: string; Destination: string }[];
  network: { endpoints: Record<string, { IPAddress: string }> };
  layer: { id: string; chain: string[] };
}

/** Every container that has a record, oldest first. */
export function containerFiles(kernel: Kernel): ContainerFile[] {
  const found = entriesOf(entryAt(kernel, ROOT)).flatMap((dir) => jsonAt<ContainerFile>(kernel, `${ROOT}/${dir.name}/config.v2.json`) ?? []);
  return found.sort((a, b) => parseIso(a.Created) - parseIso(b.Created) || (a.ID < b.ID ? -1 : 1));
}

/** Simulated ns of a time on the wall clock; null for Go's zero time. */
const moment = (iso: string): number | null => {
  const at = parseIso(iso);
  return at === 0 ? null : at - EPOCH_SECONDS * SECOND;
};

export const containers: View = {
  doc: "docker's containers, running or not.",
  arg: 'host?',
  columns: columns(`
    host: machine
    id: 64 digits
    name: without the slash
    image: as it was asked for
    command: path and arguments
    status: created, running, paused, restarting, exited
    running: whether its first process is there
    pid: of that process on the host, or 0
    exitCode: null until it has ended once
    oomKilled: the kernel's OOM killer ended a process of it
    cgroup: path of its control group
    ip: its first address, or empty
    networks: names, one space apart
    binds: what of the host it was given, source:target, one space apart
    privileged: by --privileged
    memoryLimit [bytes]: 0 for none
    createdAt [ns]: when it was made
    startedAt [ns]: when it last started, or null
    finishedAt [ns]: when it last ended, or null
  `),
  rows: (world, arg) => kernelsOf(world, arg).flatMap((kernel) => containerFiles(kernel).map((file) => row(kernel, file))),
};

function row(kernel: Kernel, file: ContainerFile): ContainerRow {
  const { State } = file;
  const host = jsonAt<{ Memory?: number; CgroupParent?: string; Privileged?: boolean }>(kernel, `${ROOT}/${file.ID}/hostconfig.json`);
  const task = State.Pid > 0 ? kernel.tasks.get(State.Pid) : undefined;
  const finishedAt = moment(State.FinishedAt);
  const systemd = kernel.cgroups.root.children.has('system.slice');
  const group = systemd ? `/${host?.CgroupParent || 'system.slice'}/docker-${file.ID}.scope` : `${host?.CgroupParent || '/docker'}/${file.ID}`;
  return {
    key: `${kernel.name}:${file.ID}`, host: kernel.name, id: file.ID, name: file.Name.slice(1), image: file.Config.Image, command: [file.Path, ...file.Args].join(' '),
    status: State.Status, running: State.Running, pid: State.Pid, exitCode: finishedAt === null ? null : State.ExitCode, oomKilled: State.OOMKilled,
    cgroup: task ? pathOf(task.cgroup) : group, ip: Object.values(file.network.endpoints).find((e) => e.IPAddress !== '')?.IPAddress ?? '',
    networks: Object.keys(file.network.endpoints).sort().join(' '), binds: (file.MountPoints ?? []).filter((one) => one.Type === 'bind').map((one) => `${one.Source}:${one.Destination}`).join(' '), privileged: host?.Privileged === true, memoryLimit: host?.Memory ?? 0,
    createdAt: moment(file.Created) ?? 0, startedAt: moment(State.StartedAt), finishedAt,
  };
}
