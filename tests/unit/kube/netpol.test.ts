import { describe, expect, it } from 'vitest';
import { policyChains, waysOf, without } from '../../../src/engine/userland/kube/netpol/rules.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects as the API has them
type Json = any;

const pod = (name: string, ip: string, labels: object, namespace = 'default', nodeName = 'node-1'): Json => ({
  metadata: { namespace, name, uid: name, labels }, spec: { nodeName, containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] }, status: { phase: 'Running', podIP: ip },
});
const PODS = [pod('web', '10.244.1.2', { app: 'web' }), pod('a', '10.244.1.3', { role: 'client' }), pod('b', '10.244.2.3', { role: 'other' }, 'default', 'node-2'), pod('m', '10.244.2.9', { role: 'client' }, 'mon', 'node-2')];
const NAMESPACES = new Map<string, Json>(['default', 'mon'].map((n) => [n, { metadata: { name: n, labels: { team: n } } }]));
const policy = (spec: object, name = 'p'): Json => ({ metadata: { namespace: 'default', name }, spec: { podSelector: { matchLabels: { app: 'web' } }, ...spec } });
const chains = (policies: Json[]) => policyChains({ policies, pods: PODS, namespaces: NAMESPACES, node: 'node-1', address: '' });
const accepted = (policies: Json[]): string[] =>
  [...chains(policies)].filter(([c]) => c.startsWith('KUBE-NWPLCY')).flatMap(([, rules]) => rules.filter((r) => r.target === 'MARK').map((r: Json) => `${r.src?.is ?? r.dst?.is ?? 'any'} ${r.proto?.is ?? ''}${r.dport ? `:${r.dport.is}` : ''}`.trim()));

describe('network policies', () => {
  it.each([
    ['nobody, when a policy has no rules', { policyTypes: ['Ingress'] }, []],
    ['everybody, when a rule is empty', { ingress: [{}] }, ['any']],
    ['pods of the same namespace', { ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }] }, ['10.244.1.3/32']],
    ['all pods of other namespaces', { ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'mon' } } }] }] }, ['10.244.2.9/32']],
    ['pods of some name in any namespace', { ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: 'client' } } }] }] }, ['10.244.1.3/32', '10.244.2.9/32']],
    ['ports by number and by name', { ingress: [{ ports: [{ port: 80 }, { port: 'http' }, { port: 53, protocol: 'UDP' }, { port: 8000, endPort: 8010 }] }] }, ['any tcp:80', 'any tcp:8080', 'any udp:53', 'any tcp:8000:8010']],
    ['blocks with exceptions', { ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/30', except: ['10.0.0.2/32'] } }] }] }, ['10.0.0.0/31', '10.0.0.3/32']],
    ['egress to pods', { policyTypes: ['Egress'], egress: [{ to: [{ podSelector: { matchLabels: { role: 'other' } } }], ports: [{ port: 5432 }] }] }, ['10.244.2.3/32 tcp:5432']],
  ])('let in %s', (_what, spec, expected) => expect(accepted([policy(spec)])).toEqual(expected));

  it('isolate a pod only in the ways that they rule', () => {
    expect(waysOf(policy({ ingress: [] }))).toEqual(['Ingress']);
    expect(waysOf(policy({ egress: [{}] }))).toEqual(['Ingress', 'Egress']);
    const all = chains([policy({ policyTypes: ['Egress'] })]);
    expect([...all.keys()].filter((c) => /^KUBE-POD-FW-.*-[IE]$/.test(c)).map((c) => c.at(-1))).toEqual(['E']);
    expect([...all.values()].flat().filter((r) => r.target === 'DROP')).toHaveLength(1);
  });
  it('leave pods alone that nobody selects, and those of other nodes', () => {
    expect(chains([]).get('KUBE-ROUTER-FORWARD')).toEqual([]);
    expect(policyChains({ policies: [policy({})], pods: PODS, namespaces: NAMESPACES, node: 'node-2', address: '' }).get('KUBE-ROUTER-FORWARD')).toEqual([]);
  });
  it('pass what belongs to a connection', () => {
    const [first] = [...chains([policy({})])].find(([c]) => /^KUBE-POD-FW-[A-Z0-9]+$/.test(c))![1];
    expect(first).toMatchObject({ ctstate: { is: ['RELATED', 'ESTABLISHED'] }, target: 'RETURN' });
  });
  it.each([
    ['0.0.0.0/0', ['10.0.0.0/8'], 8], ['10.0.0.0/24', [], 1], ['10.0.0.0/24', ['10.0.0.0/24'], 0], ['10.0.0.0/24', ['192.168.0.0/16'], 1], ['10.0.0.0/24', ['10.0.0.128/25', '10.0.0.0/26'], 1],
  ])('cut %s without %j into %i', (cidr, except, count) => expect(without(cidr, except)).toHaveLength(count));
});
