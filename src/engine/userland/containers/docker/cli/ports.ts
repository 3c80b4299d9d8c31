/** -p and --expose: "[ip:][host][-end]:container[-end][/proto]" as exposed ports and bindings. Source: docker/go-connections nat. */
import { Stop } from './client.ts';

export interface Ports {
  exposed: Record<string, object>;
  bindings: Record<string, { HostIp: string; HostPort: string }[]>;
}

/** Throws Stop in nat's words. */
export function portsOf(publish: readonly string[], expose: readonly string[]): Ports {
  const out: Ports = { exposed: {}, bindings: {} };
  for (const one of publish) bind(out, one);
  for (const one of expose) {
    const [range = '', proto = 'tcp'] = one.split('/');
    if (range.includes(':')) throw new Stop(`invalid port format for --expose: ${one}`);
    const ports = rangeOf(range);
    if (!ports) throw new Stop(`invalid range format for --expose: ${range}, error: strconv.ParseUint: parsing ${JSON.stringify(range.split('-').find((part) => !/^\d+$/.test(part)) ?? range)}: invalid syntax`);
    for (let p = ports[0]; p <= ports[1]; p++) out.exposed[`${p}/${proto.toLowerCase()}`] = {};
  }
  return out;
}

function bind(out: Ports, spec: string): void {
  const [rest = '', protocol = 'tcp'] = spec.split('/');
  const proto = protocol.toLowerCase();
  const v6 = /^\[([^\]]*)\]:(.*)$/.exec(rest);
  const parts = (v6 ? v6[2]! : rest).split(':');
  const container = parts.at(-1)!;
  const host = parts.length > 1 ? parts.at(-2)! : '';
  const ip = v6 ? v6[1]! : parts.length > 2 ? parts.slice(0, -2).join(':') : '';
  if (!v6 && ip.includes(':')) throw new Stop(`Invalid ip address ${ip}: address ${ip}:: too many colons in address`);
  if (ip !== '' && !isAddress(ip)) throw new Stop(`Invalid ip address: ${ip}`);
  if (container === '') throw new Stop(`No port specified: ${spec}<empty>`);
  const inside = rangeOf(container);
  if (!inside) throw new Stop(`Invalid containerPort: ${container}`);
  const outside = host === '' ? null : rangeOf(host);
  if (host !== '' && !outside) throw new Stop(`Invalid hostPort: ${host}`);
  if (outside && outside[1] - outside[0] !== inside[1] - inside[0] && inside[0] !== inside[1]) {
    throw new Stop(`Invalid ranges specified for container and host Ports: ${container} and ${host}`);
  }
  if (!/^(tcp|udp|sctp)$/.test(proto)) throw new Stop(`Invalid proto: ${proto}`);
  for (let i = 0; i <= inside[1] - inside[0]; i++) {
    const key = `${inside[0] + i}/${proto}`;
    out.exposed[key] = {};
    const hostPort = outside === null ? '' : inside[0] === inside[1] && outside[0] !== outside[1] ? host : String(outside[0] + i);
    out.bindings[key] = [...(out.bindings[key] ?? []), { HostIp: ip, HostPort: hostPort }];
  }
}

export function isIPv4(text: string): boolean {
  const four = text.split('.');
  return four.length === 4 && four.every((p) => /^\d{1,3}$/.test(p) && Number(p) < 256);
}

/** An IPv4 or IPv6 address. */
export function isAddress(text: string): boolean {
  if (text.split('.').length === 4) return isIPv4(text);
  return /^[\da-f:]+$/i.test(text) && (text.includes('::') ? text.split(':').length <= 8 : text.split(':').length === 8);
}

function rangeOf(text: string): [number, number] | null {
  const m = /^(\d+)(?:-(\d+))?$/.exec(text);
  if (!m) return null;
  const range: [number, number] = [Number(m[1]), Number(m[2] ?? m[1])];
  return range[1] > 65535 || range[1] < range[0] ? null : range;
}
