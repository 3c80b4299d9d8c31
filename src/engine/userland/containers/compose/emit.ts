/**
 * A project written back as YAML or JSON: fields in the order of compose's own records, lists indented, scalars quoted as
 * go-yaml does. Source: compose-go types/types.go (order), yaml.v3 emitter.
 */
import { yamlScalar } from '../../kube/kubectl/yaml.ts';
import { byKey } from '../../lib/bykey.ts';
import { type Any, type Dict, isDict } from './document.ts';
import type { Project } from './project.ts';

const SERVICE_ORDER = (
  'profiles annotations attach build develop blkio_config cap_add cap_drop cgroup_parent cgroup cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpus cpuset cpu_shares command configs container_name ' +
  'credential_spec depends_on deploy device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint environment env_file expose extends external_links extra_hosts group_add hostname healthcheck image init ipc isolation ' +
  'labels links logging mem_limit mem_reservation memswap_limit mem_swappiness mac_address network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports privileged pull_policy read_only restart runtime scale ' +
  'secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits user userns_mode uts volumes volumes_from working_dir'
).split(' ');

/** Order of the fields of each record, by the name of the field that holds it; others are sorted. */
const ORDERS: Readonly<Record<string, readonly string[]>> = {
  build: 'context dockerfile dockerfile_inline entitlements args ssh labels cache_from cache_to no_cache additional_contexts pull extra_hosts isolation network target secrets shm_size tags ulimits platforms privileged'.split(' '),
  healthcheck: 'test timeout interval retries start_period start_interval disable'.split(' '),
  deploy: 'mode replicas labels update_config rollback_config resources restart_policy placement endpoint_mode'.split(' '),
  update_config: ['parallelism', 'delay', 'failure_action', 'monitor', 'max_failure_ratio', 'order'], rollback_config: ['parallelism', 'delay', 'failure_action', 'monitor', 'max_failure_ratio', 'order'],
  resources: ['limits', 'reservations'], limits: ['cpus', 'memory', 'pids', 'devices', 'generic_resources'], reservations: ['cpus', 'memory', 'pids', 'devices', 'generic_resources'],
  restart_policy: ['condition', 'delay', 'max_attempts', 'window'], logging: ['driver', 'options'], bind: ['selinux', 'propagation', 'create_host_path'], tmpfs: ['size', 'mode'], ipam: ['driver', 'config'],
  'ports[]': ['name', 'mode', 'host_ip', 'target', 'published', 'protocol', 'app_protocol'], 'volumes[]': ['type', 'source', 'target', 'read_only', 'consistency', 'bind', 'volume', 'tmpfs'],
  'depends_on.*': ['condition', 'restart', 'required'], 'networks.*': ['priority', 'aliases', 'ipv4_address', 'ipv6_address', 'link_local_ips', 'mac_address', 'driver_opts'], 'ulimits.*': ['soft', 'hard'],
  'devices[]': ['source', 'target', 'permissions'], 'configs[]': ['source', 'target', 'uid', 'gid', 'mode'], 'secrets[]': ['source', 'target', 'uid', 'gid', 'mode'], 'config[]': ['subnet', 'gateway', 'ip_range', 'aux_addresses'],
  network: ['name', 'driver', 'driver_opts', 'ipam', 'external', 'internal', 'attachable', 'labels', 'enable_ipv6'], volume: ['name', 'driver', 'driver_opts', 'external', 'labels', 'nocopy', 'subpath'],
  file: ['name', 'file', 'environment', 'content', 'external', 'labels', 'driver', 'driver_opts', 'template_driver'], service: SERVICE_ORDER,
};

function ordered(value: Any, kind: string): Any {
  if (Array.isArray(value)) return value.map((v) => ordered(v, `${kind}[]`));
  if (!isDict(value)) return value;
  const order = ORDERS[kind];
  const rank = (k: string): number => (k.startsWith('x-') ? 1000 : (order?.indexOf(k) ?? -1) < 0 ? 900 : order!.indexOf(k));
  const keys = Object.keys(value).sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const inner = (k: string): string => (order && kind !== 'deploy.*' ? k : `${kind}.*`);
  return Object.fromEntries(keys.filter((k) => value[k] !== undefined).map((k) => [k, ordered(value[k], order === undefined && !kind.endsWith('[]') ? `${kind}.*` : inner(k))]));
}

/** Empty lists and mappings that go-yaml leaves out. */
const isEmpty = (v: Any): boolean => (Array.isArray(v) && v.length === 0) || (isDict(v) && Object.keys(v).length === 0);

function serviceOf(service: Dict): Dict {
  const kept = Object.fromEntries(Object.entries(service).filter(([k, v]) => v !== false && v !== '' && (k === 'command' || k === 'entrypoint' || !isEmpty(v))));
  return ordered(kept, 'service') as Dict;
}

/** What `config` shows of a project. */
export function modelOf(p: Project): Dict {
  const all = (records: Record<string, Dict>, kind: string): Dict => Object.fromEntries(Object.keys(records).sort().map((k) => [k, ordered(records[k], kind)]));
  const part = (key: string, records: Record<string, Dict>, kind: string): Dict => (Object.keys(records).length > 0 ? { [key]: all(records, kind) } : {});
  return {
    name: p.name, services: Object.fromEntries(Object.keys(p.services).sort().map((k) => [k, serviceOf(p.services[k]!)])),
    ...part('networks', p.networks, 'network'), ...part('volumes', p.volumes, 'volume'), ...part('secrets', p.secrets, 'file'), ...part('configs', p.configs, 'file'), ...(ordered(p.extensions, '') as Dict),
  };
}

/** A service as Go's JSON has it: with the records that its YAML leaves out. */
export function jsonService(service: Dict): Dict {
  const s = serviceOf(service);
  const deploy = s.deploy ? { deploy: ordered({ ...s.deploy, resources: s.deploy.resources ?? {}, placement: s.deploy.placement ?? {} }, 'deploy') } : {};
  return ordered({ ...s, command: s.command ?? null, entrypoint: s.entrypoint ?? null, ...deploy }, 'service') as Dict;
}

/** Sorted at the top. */
export function jsonModel(model: Dict): Dict {
  const services = Object.fromEntries(Object.entries((model.services ?? {}) as Dict).map(([k, s]): [string, Dict] => [k, jsonService(s)]));
  const networks = Object.fromEntries(Object.entries((model.networks ?? {}) as Dict).map(([k, n]) => [k, ordered({ ...n, ipam: n.ipam ?? {} }, 'network')]));
  return byKey({ ...model, services, ...(model.networks ? { networks } : {}) });
}

export function toYaml(value: Any): string {
  const out: string[] = [];
  write(value, 0, '', out);
  return `${out.join('\n')}\n`;
}

const scalar = (value: Any, indent: number): string => (value === null || value === undefined ? 'null' : typeof value === 'string' ? yamlScalar(value, indent) : String(value));

function write(value: Any, indent: number, lead: string, out: string[]): void {
  const pad = ' '.repeat(indent);
  if (isEmpty(value) || (!isDict(value) && !Array.isArray(value))) out.push(`${lead}${isEmpty(value) ? (Array.isArray(value) ? '[]' : '{}') : scalar(value, indent)}`);
  else if (Array.isArray(value)) for (const [i, one] of value.entries()) write(one, indent + 2, `${i === 0 ? lead : pad}- `, out);
  else {
    for (const [i, [key, inner]] of Object.entries(value as Dict).entries()) {
      const head = `${i === 0 ? lead : pad}${yamlScalar(key, 0)}:`;
      if (!isEmpty(inner) && (isDict(inner) || Array.isArray(inner))) {
        out.push(head);
        write(inner, indent + 2, ' '.repeat(indent + 2), out);
      } else write(inner, indent + 2, `${head} `, out);
    }
  }
}
