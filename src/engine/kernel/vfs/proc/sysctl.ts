/**
 * /proc/sys: parameters of the kernel that have their mechanism here, and the limits that tools read. Source: proc_sys(5), kernel doc
 * admin-guide/sysctl. What belongs to a namespace is that of who opens the file.
 */
import { hex } from '../../../sim/random.ts';
import { SysError } from '../../abi.ts';
import { nsCapable } from '../../credentials.ts';
import { IPC_KNOBS } from '../../ipc.ts';
import { TIMEOUTS } from '../../net/conntrack.ts';
import { disableIpv6 } from '../../net/links.ts';
import { threadsMax } from '../../syscalls/limits.ts';
import type { Kernel, Namespaces, Task, UserNamespace } from '../../records.ts';
import { timeOf } from '../../wait.ts';
import { fixed, type Node } from '../pseudo.ts';
import { MOUNT_MAX } from '../trees.ts';

const says = (read: (kernel: Kernel, task: Task) => string | number): Node => ({ kind: 'file', read: (kernel, task) => `${read(kernel, task)}\n` });

type Owner = (kernel: Kernel, task: Task) => UserNamespace;
const machine: Owner = (kernel) => kernel.init.user;

/** A number that may be written between two others, by whoever has a capability over the owner. */
function number(
  read: (kernel: Kernel, task: Task) => number, write: (kernel: Kernel, task: Task, value: number) => void, min: number, max: number,
  owner: Owner = machine, capability = 'sys_admin',
): Node {
  return {
    kind: 'file', mode: 0o644, read: (kernel, task) => `${read(kernel, task)}\n`,
    write(kernel, task, text) {
      if (!nsCapable(task, owner(kernel, task), capability)) throw new SysError('EPERM');
      const word = text.trim();
      if (!/^-?(0x[0-9a-f]+|\d+)$/i.test(word)) throw new SysError('EINVAL');
      const value = Number(word);
      if (value < min || value > max) throw new SysError('EINVAL');
      write(kernel, task, value);
    },
  };
}

/** A number kept with the kernel, for those whose only effect is that programs read them. */
function kept(name: string, initial: number, min: number, max: number): Node {
  return number((kernel) => kernel.counters[`sysctl:${name}`] ?? initial, (kernel, _task, value) => {
    kernel.counters[`sysctl:${name}`] = value;
  }, min, max);
}

/** Kept with the namespace of who looks; numbers, one or several. */
function knob(of: 'ipc' | 'net', key: string, initial: string): Node {
  const words = initial.split('\t').length;
  return {
    kind: 'file', mode: 0o644, read: (_kernel, task) => `${task.ns[of].knobs?.get(key) ?? initial}\n`,
    write(_kernel, task, text) {
      if (!nsCapable(task, task.ns[of].owner, of === 'net' ? 'net_admin' : 'sys_admin')) throw new SysError('EPERM');
      const given = text.trim().split(/\s+/);
      if (given.length > words || given.some((word) => !/^\d+$/.test(word))) throw new SysError('EINVAL');
      const kept = (task.ns[of].knobs?.get(key) ?? initial).split('\t');
      task.ns[of].knobs ??= new Map();
      task.ns[of].knobs.set(key, kept.map((word, i) => given[i] ?? word).join('\t'));
    },
  };
}

/** Several numbers of a namespace that must fit together. */
function fitting(key: string, initial: string, fits: (numbers: readonly number[]) => boolean): Node {
  const plain = knob('net', key, initial) as Extract<Node, { kind: 'file' }>;
  return {
    ...plain,
    write(kernel, task, text, opener) {
      const numbers = text.trim().split(/\s+/).map(Number);
      if (numbers.length !== initial.split('\t').length || !numbers.every(Number.isInteger) || !fits(numbers)) throw new SysError('EINVAL');
      plain.write!(kernel, task, text, opener);
    },
  };
}

const knobs = (of: 'ipc' | 'net', values: Readonly<Record<string, string>>): Record<string, Node> =>
  Object.fromEntries(Object.entries(values).map(([key, initial]) => [key, knob(of, key, initial)]));

function uuid(kernel: Kernel): string {
  const d = hex(kernel.random, 32);
  return `${d.slice(0, 8)}-${d.slice(8, 12)}-4${d.slice(13, 16)}-${'89ab'[Number.parseInt(d[16]!, 16) & 3]}${d.slice(17, 20)}-${d.slice(20, 32)}`;
}

function bootId(kernel: Kernel): string {
  let id = kernel.drivers.get('boot_id') as string | undefined;
  if (!id) {
    id = uuid(kernel);
    kernel.drivers.set('boot_id', id);
  }
  return id;
}

function name(which: 'hostname' | 'domainname'): Node {
  return {
    kind: 'file', mode: 0o644, read: (_kernel, task) => `${task.ns.uts[which]}\n`,
    write(_kernel, task, text) {
      if (!nsCapable(task, task.ns.uts.owner, 'sys_admin')) throw new SysError('EPERM');
      const value = text.replace(/\n[\s\S]*$/, '').slice(0, 64);
      task.ns.uts[which] = value;
    },
  };
}

const net: Owner = (_kernel, task) => task.ns.net.owner;
const flag = (of: 'forwarding' | 'bridgeNetfilter'): Node =>
  number((_kernel, task) => (task.ns.net[of] ? 1 : 0), (_kernel, task, value) => {
    task.ns.net[of] = value !== 0;
  }, 0, 1, net, 'net_admin');

/** What `conf` directories hold: two that stand for all and for those to come, and one a link. */
const confNames = (task: Task | null): string[] => ['all', 'default', ...(task ? task.ns.net.links.map((link) => link.name) : [])];

/** A look-up does not know who looks: a name is there when a link of some namespace has it. */
function confHas(kernel: Kernel, name: string): boolean {
  if (name === 'all' || name === 'default') return true;
  for (const { type, ns } of kernel.spaces.known.values()) if (type === 'net' && (ns as Namespaces['net']).links.some((link) => link.name === name)) return true;
  return false;
}

const constants = (values: Readonly<Record<string, string | number>>): Record<string, Node> => Object.fromEntries(Object.entries(values).map(([key, value]) => [key, says(() => value)]));

/** Kept where they are written; they steer nothing here. */
const CONF4: Readonly<Record<string, number>> = {
  accept_local: 0, accept_redirects: 1, accept_source_route: 0, arp_accept: 0, arp_announce: 0, arp_evict_nocarrier: 1, arp_filter: 0, arp_ignore: 0, arp_notify: 0, bc_forwarding: 0, bootp_relay: 0, disable_policy: 0,
  disable_xfrm: 0, drop_gratuitous_arp: 0, drop_unicast_in_l2_multicast: 0, force_igmp_version: 0, igmpv2_unsolicited_report_interval: 10000, igmpv3_unsolicited_report_interval: 1000, ignore_routes_with_linkdown: 0,
  log_martians: 0, mc_forwarding: 0, medium_id: 0, promote_secondaries: 0, proxy_arp: 0, proxy_arp_pvlan: 0, route_localnet: 0, rp_filter: 0, secure_redirects: 1, send_redirects: 1, shared_media: 1, src_valid_mark: 0, tag: 0,
};

/** All links forward or none. */
function ipv4Conf(): Node {
  const dir = (name: string): Node => fixed({ ...Object.fromEntries(Object.entries(CONF4).map(([key, value]) => [key, knob('net', `conf.${name}.${key}`, String(value))])), forwarding: flag('forwarding') });
  return { kind: 'dir', list: (_kernel, task) => confNames(task).map((name) => [name, dir(name)] as const), get: (kernel, name) => (confHas(kernel, name) ? dir(name) : null) };
}

const NEIGHBOURS = constants({
  anycast_delay: 100, app_solicit: 0, base_reachable_time: 30, base_reachable_time_ms: 30000, delay_first_probe_time: 5, gc_stale_time: 60, interval_probe_time_ms: 5000, locktime: 100, mcast_resolicit: 0, mcast_solicit: 3,
  proxy_delay: 80, proxy_qlen: 64, retrans_time: 100, retrans_time_ms: 1000, ucast_solicit: 3, unres_qlen: 101, unres_qlen_bytes: 212992,
});

/** One a link, with the times that the neighbours' states go by. */
function neighbourTables(): Node {
  const dir = fixed(NEIGHBOURS);
  return { kind: 'dir', list: (_kernel, task) => confNames(task).filter((name) => name !== 'all').map((name) => [name, dir] as const), get: (kernel, name) => (name !== 'all' && confHas(kernel, name) ? dir : null) };
}

function ipv6Conf(): Node {
  const dir = (name: string): Node =>
    fixed({
      disable_ipv6: number((_kernel, task) => (task.ns.net.ipv6Disabled.has(name) ? 1 : 0), (kernel, task, value) => {
        disableIpv6(kernel, task.ns.net, name, value === 0 ? 'no' : 'yes');
      }, 0, 1, net, 'net_admin'),
    });
  return { kind: 'dir', list: (_kernel, task) => confNames(task).map((name) => [name, dir(name)] as const), get: (kernel, name) => (confHas(kernel, name) ? dir(name) : null) };
}

/** Two numbers, the first and the last group. */
function pingGroups(): Node {
  return {
    kind: 'file', mode: 0o644, read: (_kernel, task) => `${task.ns.net.pingGroups.join('\t')}\n`,
    write(_kernel, task, text) {
      if (!nsCapable(task, task.ns.net.owner, 'net_admin')) throw new SysError('EPERM');
      const words = text.trim().split(/\s+/);
      if (words.length !== 2 || words.some((word) => !/^\d+$/.test(word))) throw new SysError('EINVAL');
      task.ns.net.pingGroups = [Number(words[0]), Number(words[1])];
    },
  };
}

/** Kept where they are written; they steer nothing here. */
const TCP_KNOBS: Readonly<Record<string, string>> = {
  tcp_fin_timeout: '60', tcp_keepalive_intvl: '75', tcp_keepalive_probes: '9', tcp_keepalive_time: '7200', tcp_max_syn_backlog: '128', tcp_rmem: '4096\t131072\t6291456', tcp_syncookies: '1', tcp_tw_reuse: '2',
  tcp_wmem: '4096\t16384\t4194304', tcp_slow_start_after_idle: '1',
};

/** What the network goes by and nobody sets here. Of 6.12. */
const IPV4 = constants({
  icmp_echo_ignore_broadcasts: 1, icmp_ignore_bogus_error_responses: 1, icmp_ratelimit: 1000, icmp_ratemask: 6168, ip_dynaddr: 0, ip_early_demux: 1, ip_forward_update_priority: 1, ip_forward_use_pmtu: 0, ip_local_reserved_ports: '',
  ip_no_pmtu_disc: 0, ip_nonlocal_bind: 0, ipfrag_high_thresh: 4194304, ipfrag_low_thresh: 3145728, ipfrag_time: 30, tcp_ecn: 2, tcp_max_tw_buckets: 8192, tcp_mtu_probing: 0, tcp_retries1: 3, tcp_retries2: 15, tcp_sack: 0,
  tcp_syn_retries: 6, tcp_synack_retries: 5, tcp_timestamps: 1, tcp_window_scaling: 1,
});
const CORE = constants({ default_qdisc: 'fq_codel', netdev_budget: 300, netdev_max_backlog: 1000, optmem_max: 131072, rmem_default: 212992, rmem_max: 212992, wmem_default: 212992, wmem_max: 212992 });

/** Of connection tracking: how many there are here, and after how many seconds each kind is forgotten. */
const CONNTRACK: Record<string, Node> = {
  nf_conntrack_count: says((kernel, task) => task.ns.net.netfilter.connections.all.filter((one) => one.until > timeOf(kernel)).length), nf_conntrack_max: says(() => 65536), nf_conntrack_buckets: says(() => 65536),
  ...Object.fromEntries(Object.entries({
    nf_conntrack_icmp_timeout: 'icmp', nf_conntrack_udp_timeout: 'udp', nf_conntrack_udp_timeout_stream: 'udp answered', nf_conntrack_tcp_timeout_syn_sent: 'SYN_SENT', nf_conntrack_tcp_timeout_syn_recv: 'SYN_RECV',
    nf_conntrack_tcp_timeout_established: 'ESTABLISHED', nf_conntrack_tcp_timeout_fin_wait: 'FIN_WAIT', nf_conntrack_tcp_timeout_last_ack: 'LAST_ACK', nf_conntrack_tcp_timeout_time_wait: 'TIME_WAIT', nf_conntrack_tcp_timeout_close: 'CLOSE',
  }).map(([key, state]) => [key, says(() => TIMEOUTS[state]!)])),
};

const LIMITED = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'time', 'user', 'uts'];

const WATCHES: Readonly<Record<string, number>> = { max_fanotify_groups: 128, max_fanotify_marks: 8192, max_inotify_instances: 128, max_inotify_watches: 8192 };

function userLimits(): Record<string, Node> {
  const entries: Record<string, Node> = {};
  for (const type of LIMITED) {
    entries[`max_${type}_namespaces`] = number((kernel, task) => task.ns.user.most?.get(type) ?? Math.floor(threadsMax(kernel) / 2), (_kernel, task, value) => {
      (task.ns.user.most ??= new Map()).set(type, value);
    }, 0, 2147483647, (_kernel, task) => task.ns.user, 'sys_resource');
  }
  for (const [name, most] of Object.entries(WATCHES)) entries[name] = says(() => most);
  return entries;
}

/** Debian leaves Yama off; once at 3 it stays. */
function ptraceScope(): Node {
  return number((kernel) => (kernel.drivers.get('yama') as number | undefined) ?? 0, (kernel, _task, value) => {
    if (kernel.drivers.get('yama') === 3 && value !== 3) throw new SysError('EINVAL');
    kernel.drivers.set('yama', value);
  }, 0, 3);
}

/** What the memory manager goes by and nobody sets here; read only, as that has no effect. */
const VM: Readonly<Record<string, Node>> = Object.fromEntries(Object.entries({
  admin_reserve_kbytes: 8192, compaction_proactiveness: 20, dirty_background_bytes: 0, dirty_background_ratio: 10, dirty_bytes: 0, dirty_expire_centisecs: 3000, dirty_ratio: 20, dirty_writeback_centisecs: 500,
  dirtytime_expire_seconds: 43200, extfrag_threshold: 500, laptop_mode: 0, mmap_min_addr: 65536, nr_hugepages: 0, nr_overcommit_hugepages: 0, overcommit_kbytes: 0,
  'page-cluster': 3, stat_interval: 1, vfs_cache_pressure: 100, watermark_boost_factor: 15000, watermark_scale_factor: 10, zone_reclaim_mode: 0,
}).map(([key, value]) => [key, says(() => value)]));

export function sysDir(): Extract<Node, { kind: 'dir' }> {
  return fixed({
    fs: fixed({
      'file-max': says(() => '9223372036854775807'), 'mount-max': kept('mount-max', MOUNT_MAX, 1, 2147483647), 'nr_open': says(() => 1048576),
      'file-nr': says((kernel) => {
        let open = 0;
        for (const task of kernel.tasks.values()) for (const slot of task.files.slots) if (slot) open++;
        return `${open}\t0\t9223372036854775807`;
      }),
    }),
    kernel: fixed({
      ...knobs('ipc', IPC_KNOBS),
      cap_last_cap: says(() => 40), domainname: name('domainname'), hostname: name('hostname'), ngroups_max: says(() => 65536),
      ns_last_pid: number((_kernel, task) => task.ns.pid.next - 1, (_kernel, task, value) => {
        task.ns.pid.next = value + 1;
      }, 0, 4194303, (_kernel, task) => task.ns.pid.owner),
      osrelease: says((kernel) => kernel.release), panic: says(() => 0), sched_rt_period_us: says(() => 1_000_000), sched_rt_runtime_us: says(() => 950_000), ostype: says(() => 'Linux'), overflowgid: says(() => 65534), overflowuid: says(() => 65534),
      pid_max: says(() => 4194304),
      random: fixed({ boot_id: says(bootId), uuid: says(uuid), entropy_avail: says(() => 256), poolsize: says(() => 256) }),
      seccomp: fixed({ actions_avail: says(() => 'kill_process kill_thread trap errno trace log allow'), actions_logged: says(() => 'kill_process kill_thread trap errno trace log') }),
      'threads-max': says(threadsMax), unprivileged_userns_clone: kept('unprivileged_userns_clone', 1, 0, 1), version: says((kernel) => kernel.version), yama: fixed({ ptrace_scope: ptraceScope() }),
    }),
    net: fixed({
      netfilter: fixed(CONNTRACK), nf_conntrack_max: CONNTRACK.nf_conntrack_max!,
      bridge: fixed({ 'bridge-nf-call-iptables': flag('bridgeNetfilter') }),
      core: fixed({ ...knobs('net', { somaxconn: '4096' }), ...CORE }),
      ipv4: fixed({
        conf: ipv4Conf(), neigh: neighbourTables(),
        ip_default_ttl: fitting('ip_default_ttl', '64', ([ttl = 0]) => ttl >= 1 && ttl <= 255), ...knobs('net', TCP_KNOBS), ...IPV4, tcp_congestion_control: says(() => 'cubic'), ...knobs('net', { icmp_echo_ignore_all: '0' }),
        ip_forward: flag('forwarding'), ip_local_port_range: fitting('ip_local_port_range', '32768\t60999', ([low = 0, high = 0]) => low >= 1 && low <= high && high <= 65535), ip_unprivileged_port_start: number((_kernel, task) => task.ns.net.unprivilegedFrom, (_kernel, task, value) => {
          task.ns.net.unprivilegedFrom = value;
        }, 0, 65535, net, 'net_admin'),
        ping_group_range: pingGroups(),
        tcp_available_congestion_control: says(() => 'reno cubic'), tcp_allowed_congestion_control: says(() => 'reno cubic'),
      }),
      ipv6: fixed({ conf: ipv6Conf() }),
      unix: fixed({ max_dgram_qlen: says(() => 10) }),
    }),
    user: fixed(userLimits()),
    vm: fixed({
      overcommit_memory: number((kernel) => kernel.overcommit, (kernel, _task, value) => {
        kernel.overcommit = value;
      }, 0, 2),
      overcommit_ratio: says(() => 50), max_map_count: kept('max_map_count', 1048576, 0, 2147483647), swappiness: kept('swappiness', 60, 0, 200), oom_dump_tasks: kept('oom_dump_tasks', 1, 0, 2147483647), oom_kill_allocating_task: kept('oom_kill_allocating_task', 0, 0, 2147483647),
      // The machine never panics.
      panic_on_oom: kept('panic_on_oom', 0, 0, 0), ...VM,
    }),
  });
}
