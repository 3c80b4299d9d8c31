/**
 * /sys: processors and memory nodes, the disk, the network links of the mounter's namespace, places to mount other file
 * systems on, kernel switches that tools look at. Source: kernel doc ABI/testing, sysfs(5).
 * Left out: the device tree below /sys/devices but for cpu and net, uevents, writable attributes but mtu and huge pages (which only
 * the memory of virtual machines has).
 */
import { DELEGATED, FEATURES } from '../cgroup/hierarchy.ts';
import { SysError } from '../abi.ts';
import { listText } from '../cgroup/numbers.ts';
import { pluggedDisks } from '../block.ts';
import { hasCarrier, operState, portsOf } from '../net/state.ts';
import { pathText } from './path.ts';
import type { Loop } from '../drivers/loop.ts';
import type { Link, NetNamespace } from '../net/types.ts';
import type { Kernel, Task } from '../records.ts';
import { type OverlayParameters, overlayParameters } from './overlayoptions.ts';
import { fixed, type Node } from './pseudo.ts';

type DirNode = Extract<Node, { kind: 'dir' }>;

const says = (text: string): Node => ({ kind: 'file', read: () => `${text}\n`, size: 4096 });
const empty = (): DirNode => fixed({});

function cpus(kernel: Kernel): DirNode {
  const all = listText(Array.from({ length: kernel.cpus }, (_, i) => i));
  const entries: Record<string, Node> = { online: says(all), possible: says(all), present: says(all), kernel_max: says('8191'), offline: says('') };
  for (let i = 0; i < kernel.cpus; i++) {
    entries[`cpu${i}`] = fixed({
      topology: fixed({ core_id: says(String(i)), physical_package_id: says('0'), thread_siblings_list: says(String(i)) }),
      ...(i > 0 ? { online: says('1') } : {}),
    });
  }
  return fixed(entries);
}

const MODES = ['always', 'madvise', 'never'] as const;

function hugePages(kernel: Kernel): Node {
  return {
    kind: 'file', size: 4096,
    read: () => `${MODES.map((mode) => (mode === kernel.hugePages ? `[${mode}]` : mode)).join(' ')}\n`,
    write(_kernel, _task, value) {
      const mode = MODES.find((one) => one === value.trim());
      if (!mode) throw new SysError('EINVAL');
      kernel.hugePages = mode;
    },
  };
}

/** Parameters of the overlay module: what mounts made from now on have without options. */
function overlaySwitches(kernel: Kernel): Record<string, Node> {
  const switches = overlayParameters(kernel);
  const one = (name: keyof OverlayParameters): Node => ({
    kind: 'file', size: 4096,
    read: () => `${switches[name] ? 'Y' : 'N'}\n`,
    write(_kernel, _task, value) {
      const said = /^(?:([yY1]|on|On|ON)|([nN0]|off|Off|OFF))\s*$/.exec(value);
      if (!said) throw new SysError('EINVAL');
      switches[name] = said[1] !== undefined;
    },
  });
  return { ...Object.fromEntries((Object.keys(switches) as (keyof OverlayParameters)[]).map((name) => [name, one(name)])), redirect_max: says('256') };
}

/** Bytes of the modelled disk, in sectors. */
const SECTORS = 41_943_040;
const PARTITION = 41_940_958;

function disk(): DirNode {
  return fixed({
    dev: says('254:0'), size: says(String(SECTORS)), ro: says('0'), removable: says('0'),
    queue: fixed({ scheduler: says('[none] mq-deadline'), rotational: says('1'), logical_block_size: says('512') }),
    vda1: fixed({ dev: says('254:1'), size: says(String(PARTITION)), ro: says('0'), partition: says('1'), start: says('2048') }),
  });
}

const loopDir = ({ file, offset, sizeLimit, autoclear }: Loop): DirNode => fixed({
  backing_file: { kind: 'file', mode: 0o444, read: (_kernel, looker) => `${file.path ? pathText(looker, file.path) : ''}\n` },
  offset: says(String(offset)), sizelimit: says(String(sizeLimit)), autoclear: says(autoclear ? '1' : '0'),
});

/** The first disk and those that were attached. */
const blockDir = (): DirNode => ({
  kind: 'dir',
  list: (kernel) => [
    ['vda', disk()] as const,
    ...pluggedDisks(kernel).map(({ name, major, minor, disk: one, loop }) => [name, { ...fixed({
      dev: says(`${major}:${minor}`), size: says(String(one.size / 512)), ro: says((loop as Loop | undefined)?.readonly ? '1' : '0'), removable: says('0'), serial: says(one.serial.slice(0, 20)),
      queue: fixed({ scheduler: says('[none] mq-deadline'), rotational: says('1'), logical_block_size: says('512') }),
      ...(loop ? { loop: loopDir(loop as Loop) } : {}),
    }), id: one }] as const),
  ],
});

/** IFF_UP, BROADCAST, LOOPBACK, NOARP, PROMISC, MULTICAST. */
function flagBits({ up, kind, arp, promisc, multicast }: Link): number {
  if (kind === 'loopback') return (up ? 1 : 0) | 8;
  return (up ? 1 : 0) | 2 | (arp ? 0 : 0x80) | (promisc ? 0x100 : 0) | (multicast && kind !== 'dummy' ? 0x1000 : 0);
}

function bridgeDir({ times, mac }: Link): DirNode {
  const { forward_delay, hello_time, max_age, ageing_time, priority } = times!;
  const id = `${priority.toString(16).padStart(4, '0')}.${mac.replaceAll(':', '')}`;
  return fixed({
    ageing_time: says(String(ageing_time)), bridge_id: says(id), forward_delay: says(String(forward_delay)), hello_time: says(String(hello_time)), max_age: says(String(max_age)),
    priority: says(String(priority)), root_id: says(id), stp_state: says('0'), vlan_filtering: says('0'),
  });
}

function linkDir(ns: NetNamespace, link: Link): DirNode {
  const { stats } = link;
  const up = link.up;
  return {
    ...fixed({
      address: says(link.mac), mtu: says(String(link.mtu)), ifindex: says(String(link.index)), iflink: says(String(link.peer?.index ?? link.lower?.link.index ?? link.index)),
      operstate: says(link.kind === 'loopback' ? 'unknown' : operState(ns, link).toLowerCase()), type: says(link.kind === 'loopback' ? '772' : '1'),
      flags: says(`0x${flagBits(link).toString(16)}`), tx_queue_len: says(String(link.txqlen)),
      carrier: {
        kind: 'file',
        read: () => {
          if (!up) throw new SysError('EINVAL');
          return hasCarrier(ns, link) ? '1\n' : '0\n';
        },
      },
      statistics: fixed({
        rx_bytes: says(String(stats.rxBytes)), tx_bytes: says(String(stats.txBytes)), rx_packets: says(String(stats.rxPackets)), tx_packets: says(String(stats.txPackets)),
      }),
      ...(link.kind === 'bridge' ? { bridge: bridgeDir(link), brif: fixed(Object.fromEntries(portsOf(ns, link).map((port) => [port.name, empty()]))) } : {}),
    }),
    id: link,
  };
}

function net(ns: NetNamespace): DirNode {
  return { kind: 'dir', list: () => ns.links.map((link) => [link.name, linkDir(ns, link)] as const) };
}

/** What every mount shows alike. */
function machineDirs(kernel: Kernel): Record<string, Node> {
  const cpu = cpus(kernel);
  return {
    block: blockDir(),
    bus: empty(),
    class: empty(),
    dev: fixed({ block: fixed({ '254:0': disk() }), char: empty() }),
    devices: fixed({ cpu, node: fixed({ node0: fixed({ cpulist: says(listText(Array.from({ length: kernel.cpus }, (_, i) => i))) }), online: says('0'), possible: says('0') }) }),
    firmware: empty(),
    fs: fixed({ bpf: empty(), cgroup: fixed({}, 0o755), fuse: fixed({ connections: empty() }) }),
    hypervisor: empty(),
    kernel: fixed({
      cgroup: fixed({ delegate: says(DELEGATED.join('\n')), features: says(FEATURES.join('\n')) }),
      debug: fixed({}, 0o700), security: empty(), tracing: fixed({}, 0o700),
      mm: fixed({ transparent_hugepage: fixed({ enabled: hugePages(kernel) }) }),
    }),
    module: fixed({ overlay: fixed({ parameters: fixed(overlaySwitches(kernel)) }) }),
    power: empty(),
  };
}

const machine = new WeakMap<Kernel, Record<string, Node>>();

/** What a mount of sysfs shows: links of the network namespace that mounted it. */
export function sysfsRoot(kernel: Kernel, task: Task): DirNode {
  let dirs = machine.get(kernel);
  if (!dirs) machine.set(kernel, (dirs = machineDirs(kernel)));
  const links = net(task.ns.net);
  return fixed({
    ...dirs,
    class: fixed({ block: dirs.block!, net: links, tty: empty() }),
    devices: fixed({ system: dirs.devices!, virtual: fixed({ net: links }) }),
  });
}
