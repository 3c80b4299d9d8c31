import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { joinBytes } from '../../../src/engine/sim/wire.ts';
import { frame, unframe } from '../../../src/engine/userland/containers/cri/frames.ts';
import { perform, type Keyspace } from '../../../src/engine/userland/containers/programs/redis-commands.ts';
import { readCommand, writeCommand, writeReply } from '../../../src/engine/userland/containers/programs/resp.ts';

describe('frames of an exec stream', () => {
  it('come out as they went in, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.uint8Array({ maxLength: 50 })), { maxLength: 8 }), fc.nat(), (sent, seed) => {
        const all = joinBytes(sent.map(([channel, data]) => frame(channel, data)));
        const cut = all.length === 0 ? 0 : seed % all.length;
        const first = unframe(all.subarray(0, cut));
        const second = unframe(joinBytes([first.rest, all.subarray(cut)]));
        expect([...first.frames, ...second.frames].map((f) => [f.channel, [...f.data]])).toEqual(sent.map(([c, d]) => [c, [...d]]));
        expect(second.rest.length).toBe(0);
      }),
    );
  });
  it('name their channel and length', () => {
    expect([...frame(1, bytes('hi'))]).toEqual([1, 0, 0, 0, 2, 104, 105]);
    expect(text(unframe(frame(2, bytes('x'))).frames[0]!.data)).toBe('x');
  });
});

describe('redis', () => {
  const fresh = (): Keyspace => ({ keys: new Map(), now: 1000, commands: 0, connections: 0, clients: 0, startedAt: 0, pid: 1 });
  const cases: [string[][], string][] = [
    [[['PING']], '+PONG\r\n'], [[['SET', 'a', '1'], ['INCR', 'a']], ':2\r\n'], [[['GET', 'a']], '$-1\r\n'], [[['SET', 'a', 'x'], ['INCR', 'a']], '-ERR value is not an integer or out of range\r\n'],
    [[['RPUSH', 'l', '1', '2', '3'], ['LRANGE', 'l', '0', '-1']], '*3\r\n$1\r\n1\r\n$1\r\n2\r\n$1\r\n3\r\n'],
    [[['RPUSH', 'l', '1'], ['GET', 'l']], '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n'], [[['SET', 'a', '1', 'NX'], ['SET', 'a', '2', 'NX']], '$-1\r\n'],
    [[['SET', 'a', '1', 'EX', '10'], ['TTL', 'a']], ':10\r\n'], [[['GET']], "-ERR wrong number of arguments for 'get' command\r\n"],
    [[['NOSUCH', 'x']], "-ERR unknown command 'NOSUCH', with args beginning with: 'x' \r\n"],
  ];
  it.each(cases)('%j answers %j', (commands, answer) => {
    const k = fresh();
    expect(commands.map((words) => writeReply(perform(k, words))).at(-1)).toBe(answer);
  });
  it('reads what it writes, and nothing of a part', () => {
    const wire = writeCommand(['SET', 'k', 'a\r\nb']);
    expect(readCommand(wire)).toEqual({ words: ['SET', 'k', 'a\r\nb'], end: wire.length });
    for (let n = 0; n < wire.length; n++) expect(readCommand(wire.slice(0, n))).toBeNull();
  });
});
