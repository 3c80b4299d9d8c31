/** Files that the kubelet itself gives containers: /etc/hosts and the message of an end; the resolver's configuration. Source: kubelet_pods.go, network/dns/dns.go 1.32. */
import type { Json, Pod } from '../../../cluster/types/objects.ts';
import { attempt, mkdirAll, tryRead, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { slurp } from '../api.ts';
import type { Kubelet } from '../node.ts';
import { plainLog } from '../nodeserver.ts';
import { type Runner, rootOf, type Work } from './work.ts';

const MESSAGE_MAX = 4096;
const LOG_LINES = 80;
const LOG_BYTES = 2048;

/** "web-0.web.default.svc.cluster.local" when there is a subdomain. */
export function domainOf(k: Kubelet, pod: Pod): string {
  const { subdomain } = pod.spec;
  return subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${k.config.clusterDomain}` : '';
}

/** The host's name inside: at most 63 characters of the pod's. */
export const hostnameOf = (pod: Pod): string => pod.spec.hostname ?? pod.metadata.name.slice(0, 63).replace(/[-.]+$/, '');

/** Writes the pod's /etc/hosts; its path on the node. */
export function* hostsFile(w: Work): Call<string> {
  const { pod } = w.held;
  const path = `${rootOf(pod)}/etc-hosts`;
  const domain = domainOf(w.k, pod);
  const hostname = hostnameOf(pod);
  const own = pod.spec.hostNetwork
    ? `# Kubernetes-managed hosts file (host network).\n${(yield* tryRead('/etc/hosts')) ?? ''}`
    : '# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n' +
      `${w.ip}\t${domain ? `${hostname}.${domain}\t` : ''}${hostname}\n`;
  const aliases = ((pod.spec.hostAliases ?? []) as { ip: string; hostnames?: string[] }[]).map((a) => `${a.ip}\t${(a.hostnames ?? []).join('\t')}\n`).join('');
  yield* writeFile(path, own + (aliases ? `\n# Entries added by HostAliases.\n${aliases}` : ''));
  return path;
}

/** Name servers, searches and options, by the pod's policy. */
export function* dnsOf(k: Kubelet, pod: Pod): Call<Json> {
  const { dnsPolicy = 'ClusterFirst', dnsConfig = {} } = pod.spec;
  const cluster = k.config.clusterDNS.length > 0 && (dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !pod.spec.hostNetwork));
  const lines = ((yield* slurp('/etc/resolv.conf')) ?? '').split('\n').map((l) => l.trim().split(/\s+/));
  const host = {
    servers: lines.filter((l) => l[0] === 'nameserver').map((l) => l[1]!), searches: lines.filter((l) => l[0] === 'search').flatMap((l) => l.slice(1)), options: lines.filter((l) => l[0] === 'options').flatMap((l) => l.slice(1)),
  };
  const domain = k.config.clusterDomain;
  const base =
    dnsPolicy === 'None' ? { servers: [], searches: [], options: [] }
    : cluster ? { servers: k.config.clusterDNS, searches: [`${pod.metadata.namespace}.svc.${domain}`, `svc.${domain}`, domain, ...host.searches], options: ['ndots:5'] } : host;
  const more = ((dnsConfig.options ?? []) as { name: string; value?: string }[]).map((o) => (o.value === undefined ? o.name : `${o.name}:${o.value}`));
  const names = new Set(more.map((o) => o.split(':')[0]!));
  return {
    servers: [...new Set([...base.servers, ...(dnsConfig.nameservers ?? [])])].slice(0, 3), searches: [...new Set([...base.searches, ...(dnsConfig.searches ?? [])])],
    options: [...base.options.filter((o: string) => !names.has(o.split(':')[0]!)), ...more],
  };
}

/** Makes the file of a container's last words; where it lies on the node. */
export function* messageFile(w: Work, r: Runner): Call<string> {
  const dir = `${rootOf(w.held.pod)}/containers/${r.spec.name}`;
  yield* mkdirAll(dir);
  const path = `${dir}/${(w.k.counter++ >>> 0).toString(16).padStart(8, '0')}`;
  yield* writeFile(path, '', 0o666);
  return path;
}

/** What a container said at its end: its message, or the end of its log. */
export function* lastWords(w: Work, r: Runner, exitCode: number): Call<string> {
  const said = r.messagePath === '' ? '' : ((yield* attempt(tryRead(r.messagePath), null)) ?? '').slice(0, MESSAGE_MAX);
  if (said !== '' || r.spec.terminationMessagePolicy !== 'FallbackToLogsOnError' || exitCode === 0) return said;
  const files = w.held.logs.get(r.spec.name);
  const log = files ? plainLog((yield* slurp(files.current)) ?? '', false) : '';
  return log.split('\n').slice(-LOG_LINES - 1).join('\n').slice(-LOG_BYTES);
}
