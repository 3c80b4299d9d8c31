import { describe, expect, it } from 'vitest';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import {
  createParser, feed, finish, formatChunk, formatQuery, formatRequest, formatResponse, formatStreamHead, joinBytes, LAST_CHUNK, splitTarget,
  type WireEvent,
} from '../../../src/engine/sim/wire.ts';

function show(events: readonly WireEvent[]): string[] {
  return events.map((e) => {
    if (e.type === 'head') return `head ${e.head.method}${e.head.status || ''} ${e.head.target}${e.head.reason}`;
    if (e.type === 'body' || e.type === 'raw') return `${e.type} ${text(e.data)}`;
    return e.type === 'error' ? `error ${e.reason}` : e.type;
  });
}

const cases: { given: string; role: 'request' | 'response'; when: Uint8Array; then: string[] }[] = [
  { given: 'a GET', role: 'request', when: formatRequest('GET', '/_ping', { Host: 'docker' }), then: ['head GET /_ping', 'end'] },
  { given: 'a POST', role: 'request', when: formatRequest('POST', '/x?a=b', {}, '{"a":1}'), then: ['head POST /x?a=b', 'body {"a":1}', 'end'] },
  { given: 'a response', role: 'response', when: formatResponse(404, {}, 'no'), then: ['head 404 Not Found', 'body no', 'end'] },
  { given: '204', role: 'response', when: formatResponse(204, {}), then: ['head 204 No Content', 'end'] },
  { given: 'chunks', role: 'response', when: joinBytes([formatStreamHead(200, {}), formatChunk('one'), formatChunk('two'), LAST_CHUNK]), then: ['head 200 OK', 'body one', 'body two', 'end'] },
  { given: 'an upgrade', role: 'response', when: joinBytes([formatStreamHead(101, { Upgrade: 'tcp' }), bytes('raw')]), then: ['head 101 UPGRADED', 'raw raw'] },
  { given: 'nonsense', role: 'request', when: bytes('hello\r\n\r\n'), then: ['error malformed HTTP request "hello"'] },
  { given: 'a bad length', role: 'request', when: bytes('POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n'), then: ['head POST /', 'error bad Content-Length "x"'] },
  { given: 'a bad chunk', role: 'response', when: bytes('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'), then: ['head 200 OK', 'error malformed chunked encoding'] },
];

describe('HTTP/1.1 codec', () => {
  for (const c of cases) {
    it(`reads ${c.given} whole`, () => expect(show(feed(createParser(c.role), c.when))).toEqual(c.then));
    it(`reads ${c.given} a byte at a time`, () => {
      const parser = createParser(c.role);
      const events: WireEvent[] = [];
      for (const b of c.when) events.push(...feed(parser, new Uint8Array([b])));
      const joined = show(events).map((e) => e.split(' ')[0]!);
      const bodies = events.filter((e) => e.type === 'body' || e.type === 'raw').map((e) => text(e.data)).join('');
      expect(bodies).toBe(c.then.filter((t) => /^(body|raw) /.test(t)).map((t) => t.replace(/^\w+ /, '')).join(''));
      expect(joined.filter((t) => t !== 'body' && t !== 'raw')).toEqual(c.then.map((t) => t.split(' ')[0]!).filter((t) => t !== 'body' && t !== 'raw'));
    });
  }
  it('ends an unsized response at close and refuses half a message', () => {
    const open = createParser('response');
    expect(show([...feed(open, bytes('HTTP/1.1 200 OK\r\n\r\nab')), ...finish(open)])).toEqual(['head 200 OK', 'body ab', 'end']);
    const half = createParser('response');
    feed(half, bytes('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab'));
    expect(show(finish(half))).toEqual(['error unexpected EOF']);
  });
  it('splits targets', () => {
    expect(splitTarget('/a/b?x=1&y=a%20b+c&z')).toEqual({ path: '/a/b', query: { x: '1', y: 'a b c', z: '' } });
    expect(formatQuery({ filters: '{"a":["b"]}', none: undefined, n: 3 })).toBe('filters=%7B%22a%22%3A%5B%22b%22%5D%7D&n=3');
  });
});
