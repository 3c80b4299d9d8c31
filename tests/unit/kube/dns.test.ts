import { describe, expect, it } from 'vitest';
import { parseCorefile } from '../../../src/engine/userland/kube/coredns/corefile.ts';
import { readQuestion, TYPE, writeReply } from '../../../src/engine/userland/kube/coredns/message.ts';
import { answer, reverse, type Source } from '../../../src/engine/userland/kube/coredns/zone.ts';
import { decodeAnswer, encodeQuery } from '../../../src/engine/userland/net/dns.ts';

// biome-ignore lint/suspicious/noExplicitAny: objects as the API has them
type Json = any;

const service = (name: string, spec: object, namespace = 'default'): [string, Json] => [`${namespace}/${name}`, { metadata: { namespace, name }, spec }];
const source: Source = {
  services: new Map([
    service('web', { clusterIP: '10.96.1.1', ports: [{ name: 'http', port: 80, protocol: 'TCP' }] }), service('db', { clusterIP: 'None', ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }] }),
    service('out', { type: 'ExternalName', externalName: 'example.org' }), service('kube-dns', { clusterIP: '10.96.0.10', ports: [] }, 'kube-system'),
  ]),
  slices: new Map([['default/db', [{ ports: [{ name: 'pg', port: 5432, protocol: 'TCP' }], endpoints: [{ addresses: ['10.244.1.5'], hostname: 'db-0', conditions: { ready: true } }, { addresses: ['10.244.2.6'], conditions: { ready: true } }, { addresses: ['10.244.3.7'], conditions: { ready: false } }] }]]]),
  namespaces: new Map([['default', {}], ['kube-system', {}]]), pods: null,
};
const zone = { name: 'cluster.local.', ttl: 30, pods: 'insecure' as const, serial: 1 };

function ask(name: string, type: number): { code: number; aa: boolean; addresses: string[]; names: string[]; count: number } {
  const q = readQuestion(encodeQuery(7, name, type))!;
  const said = q.name.endsWith('in-addr.arpa.') ? reverse(zone, source, q) : answer(zone, source, q);
  if (!said) return { code: -1, aa: false, addresses: [], names: [], count: 0 };
  const message = writeReply(q, said, true);
  const read = decodeAnswer(message, 7)!;
  return { code: read.code, aa: (message[2]! & 4) !== 0, addresses: read.addresses, names: read.names, count: (message[6]! << 8) | message[7]! };
}

describe('CoreDNS', () => {
  it.each([
    ['web.default.svc.cluster.local', TYPE.A, 0, ['10.96.1.1']], ['WEB.default.svc.cluster.local', TYPE.A, 0, ['10.96.1.1']], ['db.default.svc.cluster.local', TYPE.A, 0, ['10.244.1.5', '10.244.2.6']],
    ['db-0.db.default.svc.cluster.local', TYPE.A, 0, ['10.244.1.5']], ['10-244-2-6.db.default.svc.cluster.local', TYPE.A, 0, ['10.244.2.6']], ['10-244-9-9.default.pod.cluster.local', TYPE.A, 0, ['10.244.9.9']],
    ['web.default.svc.cluster.local', TYPE.AAAA, 0, []], ['nosuch.default.svc.cluster.local', TYPE.A, 3, []], ['web.nosuch.svc.cluster.local', TYPE.A, 3, []], ['web.cluster.local', TYPE.A, 3, []], ['db-9.db.default.svc.cluster.local', TYPE.A, 3, []],
    ['default.svc.cluster.local', TYPE.A, 0, []], ['ns.dns.cluster.local', TYPE.A, 0, ['10.96.0.10']],
  ])('%s %i', (name, type, code, addresses) => expect(ask(name, type)).toMatchObject({ code, aa: true, addresses }));
  it.each([
    ['_http._tcp.web.default.svc.cluster.local', 1], ['_pg._tcp.db.default.svc.cluster.local', 2], ['db.default.svc.cluster.local', 2],
  ])('says the ports of %s', (name, count) => expect(ask(name, TYPE.SRV).count).toBe(count));
  it('knows addresses by their names', () => {
    expect(ask('1.1.96.10.in-addr.arpa', TYPE.PTR).names).toEqual(['web.default.svc.cluster.local']);
    expect(ask('5.1.244.10.in-addr.arpa', TYPE.PTR).names).toEqual(['db-0.db.default.svc.cluster.local']);
    expect(ask('8.8.8.8.in-addr.arpa', TYPE.PTR).code).toBe(-1);
  });
  it('reads its file', () => {
    const [block] = parseCorefile('.:53 {\n  errors\n  kubernetes cluster.local in-addr.arpa {\n    pods insecure\n  }\n}\nexample.org {\n  forward . 10.0.0.1\n}\n');
    expect(block).toMatchObject({ zones: ['.'], port: 53, plugins: [{ name: 'errors' }, { name: 'kubernetes', args: ['cluster.local', 'in-addr.arpa'], options: [['pods', 'insecure']] }] });
    expect(() => parseCorefile('.:53 {\n nonsense\n}\n')).toThrow("Unknown directive 'nonsense'");
  });
});
