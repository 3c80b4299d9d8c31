/** Shared subtrees by hand: who hears of a mount, what a bind joins, what stays below a user namespace. Held against Linux 6.12's shell sessions in recorded/namespaces. */
import { describe, expect, it } from 'vitest';
import { MS_BIND, MS_MOVE, MS_PRIVATE, MS_REC, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, SysError } from '../../../src/engine/kernel/abi.ts';
import { sys } from '../../../src/engine/kernel/sys.ts';
import { run } from './harness.ts';

type Step = [source: string, target: string, flags: number];

const tmpfs = (target: string): Step => ['t', target, 0];
const bind = (from: string, to: string, more = 0): Step => [from, to, MS_BIND | more];
const make = (target: string, flags: number): Step => ['', target, flags];

/** Mounts below /mnt after the steps, sorted, each with the kind of its group; an errno where a step failed. */
function after(steps: readonly Step[]): string[] {
  const out: string[] = [];
  run(function* () {
    yield* sys('mount', 'top', '/mnt', 'tmpfs', 0, '');
    for (const dir of 'abcd') yield* sys('mkdirat', -100, `/mnt/${dir}`, 0o755);
    for (const [source, target, flags] of steps) {
      try {
        yield* sys('mount', source, target, flags === 0 ? 'tmpfs' : '', flags, '');
        if (flags === 0) yield* sys('mkdirat', -100, `${target}/x`, 0o755);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        out.push(error.errno);
      }
    }
    yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
    const fd = yield* sys('openat', -100, '/proc/self/mountinfo', 0);
    const text = new TextDecoder().decode(yield* sys('read', fd, 65536));
    for (const line of text.split('\n')) {
      const fields = line.split(' ');
      if (fields[4]?.startsWith('/mnt')) out.push([fields[4], ...fields.slice(6, fields.indexOf('-')).map((one) => one.replace(/:\d+/, ''))].join(' '));
    }
    return 0;
  });
  return out.sort();
}

describe('shared subtrees', () => {
  it.each<[string, Step[], string[]]>([
    ['a bind of a private mount below a private one', [bind('/mnt/a', '/mnt/b')], ['/mnt', '/mnt/b']],
    ['a bind below its own shared mount does not show in itself', [make('/mnt', MS_SHARED), bind('/mnt', '/mnt/a')], ['/mnt shared', '/mnt/a shared']],
    ['what is mounted later shows in both', [make('/mnt', MS_SHARED), bind('/mnt', '/mnt/a'), tmpfs('/mnt/c')], ['/mnt shared', '/mnt/a shared', '/mnt/a/c shared', '/mnt/c shared']],
    ['a bind of a whole tree into itself', [tmpfs('/mnt/a'), bind('/mnt', '/mnt/b', MS_REC)], ['/mnt', '/mnt/a', '/mnt/b', '/mnt/b/a']],
    ['peers of a bind', [tmpfs('/mnt/a'), make('/mnt/a', MS_SHARED), bind('/mnt/a', '/mnt/b'), tmpfs('/mnt/b/x')], ['/mnt', '/mnt/a shared', '/mnt/a/x shared', '/mnt/b shared', '/mnt/b/x shared']],
    ['a slave hears and does not tell', [tmpfs('/mnt/a'), make('/mnt/a', MS_SHARED), bind('/mnt/a', '/mnt/b'), make('/mnt/b', MS_SLAVE), tmpfs('/mnt/a/x')], ['/mnt', '/mnt/a shared', '/mnt/a/x shared', '/mnt/b master', '/mnt/b/x master']],
    ['nobody hears a slave', [tmpfs('/mnt/a'), make('/mnt/a', MS_SHARED), bind('/mnt/a', '/mnt/b'), make('/mnt/b', MS_SLAVE), tmpfs('/mnt/b/x')], ['/mnt', '/mnt/a shared', '/mnt/b master', '/mnt/b/x']],
    ['slaves of slaves', [tmpfs('/mnt/a'), make('/mnt/a', MS_SHARED), bind('/mnt/a', '/mnt/b'), make('/mnt/b', MS_SLAVE), make('/mnt/b', MS_SHARED), bind('/mnt/b', '/mnt/c'), make('/mnt/c', MS_SLAVE), tmpfs('/mnt/a/x')],
      ['/mnt', '/mnt/a shared', '/mnt/a/x shared', '/mnt/b shared master', '/mnt/b/x shared master', '/mnt/c master', '/mnt/c/x master']],
    ['a lone member that becomes a slave is private', [make('/mnt', MS_SHARED), make('/mnt', MS_SLAVE)], ['/mnt']],
    ['slaves of a group that ends hear of nobody', [tmpfs('/mnt/a'), make('/mnt/a', MS_SHARED), bind('/mnt/a', '/mnt/b'), make('/mnt/b', MS_SLAVE), make('/mnt/a', MS_PRIVATE)], ['/mnt', '/mnt/a', '/mnt/b']],
    ['unbindable', [tmpfs('/mnt/a'), make('/mnt/a', MS_UNBINDABLE), bind('/mnt/a', '/mnt/b'), bind('/mnt', '/mnt/c', MS_REC)], ['/mnt', '/mnt/a unbindable', '/mnt/c', 'EINVAL']],
    ['nothing moves from below a shared mount', [tmpfs('/mnt/a'), make('/mnt', MS_SHARED), ['/mnt/a', '/mnt/b', MS_MOVE]], ['/mnt shared', '/mnt/a', 'EINVAL']],
    ['what moves below a shared one is shown to its peers', [tmpfs('/mnt/a'), make('/mnt/a', MS_SHARED), bind('/mnt/a', '/mnt/b'), tmpfs('/mnt/c'), ['/mnt/c', '/mnt/a/x', MS_MOVE]], ['/mnt', '/mnt/a shared', '/mnt/a/x shared', '/mnt/b shared', '/mnt/b/x shared']],
    ['not into itself', [tmpfs('/mnt/a'), ['/mnt/a', '/mnt/a/x', MS_MOVE]], ['/mnt', '/mnt/a', 'ELOOP']],
    ['one kind at a time', [make('/mnt', MS_SHARED | MS_PRIVATE), make('/mnt/a', MS_SHARED)], ['/mnt', 'EINVAL', 'EINVAL']],
  ])('%s', (_, steps, expected) => expect(after(steps)).toEqual(expected.sort()));
});
