/**
 * Bad input of every kind that reaches the lab from outside: recordings, labs, scenario files, image archives, assembly,
 * and whatever is typed. Each is refused by its own kind of error or does nothing; none stops the world.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadAssets } from '../../src/cli/assets.ts';
import { assemble } from '../../src/engine/machine/isa/assemble.ts';
import { disassemble } from '../../src/engine/machine/isa/disassemble.ts';
import { toBase64 } from '../../src/engine/sim/text.ts';
import { ImageError, readArchive } from '../../src/engine/userland/containers/oci.ts';
import { buildImage } from '../../src/engine/userland/containers/images.ts';
import { TarError, writeTar, entry } from '../../src/engine/userland/containers/tar.ts';
import { BadRecording, parseRecording } from '../../src/engine/world/recording.ts';
import { BadScenario, findScenario } from '../../src/engine/world/scenario.ts';
import { afterEvents, createTypist, line, perform, wait, waitForPrompt } from '../../src/engine/world/typist.ts';
import { createWorld } from '../../src/engine/world/world.ts';
import { BadLab, parseLab } from '../../src/labs/format.ts';

/** Either it works, or it is refused by one of these. */
function refusedBy(work: () => unknown, ...errors: (new (...a: never[]) => Error)[]): boolean {
  try {
    work();
    return false;
  } catch (error) {
    if (!errors.some((kind) => error instanceof kind)) throw error;
    expect((error as Error).message).not.toBe('');
    return true;
  }
}

const GOOD = JSON.stringify({ nestbox: 1, scenario: 'lab', seed: 1, inputs: [{ t: 1, do: 'type', tty: 'tty1', data: 'ls\r' }], until: 10 });
/** A text with something cut out, put in or changed. */
const mangled = (text: string): fc.Arbitrary<string> =>
  fc.tuple(fc.nat(text.length), fc.nat(12), fc.string({ maxLength: 6 })).map(([at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));

it('recordings: 300 damaged ones', () => {
  let refused = 0;
  fc.assert(fc.property(fc.oneof(mangled(GOOD), fc.json(), fc.string()), (text) => {
    if (refusedBy(() => parseRecording(text), BadRecording)) refused++;
  }), { numRuns: 300, seed: 1 });
  expect(refused).toBeGreaterThan(200);
});

const LAB = '---\nid: x\ntitle: X\ntrack: t\nsteps:\n  - id: one\n    goal: g\n    check: [{view: hosts, where: {name: lab}}]\n---\n## one\ntext\n';
it('labs: 300 damaged ones', () => {
  let refused = 0;
  fc.assert(fc.property(fc.oneof(mangled(LAB), fc.string()), (text) => {
    if (refusedBy(() => parseLab(text), BadLab)) refused++;
  }), { numRuns: 300, seed: 2 });
  expect(refused).toBeGreaterThan(100);
});

const SCENARIO = 'seed: 3\nhosts:\n- name: lab\n  cpus: 2\n  memory: 1GiB\n  services: [containerd, docker]\n  images: [busybox]\ncluster:\n  hollow: 3\nmanifests:\n- "kind: Pod"\n';
it('scenario files: 300 damaged ones', () => {
  let refused = 0;
  fc.assert(fc.property(mangled(SCENARIO), (text) => {
    if (refusedBy(() => findScenario(text), BadScenario)) refused++;
  }), { numRuns: 300, seed: 3 });
  expect(refused).toBeGreaterThan(50);
});

it('image archives: 300 damaged ones', () => {
  const image = buildImage('busybox')!;
  const whole = writeTar([
    entry('manifest.json', { data: new TextEncoder().encode(JSON.stringify([{ Config: 'config.json', RepoTags: ['busybox:latest'], Layers: ['layer.tar'] }])) }),
    entry('config.json', { data: new TextEncoder().encode(image.configText) }),
    entry('layer.tar', { data: writeTar([entry('bin/', { kind: 'dir' } as never)]) }),
  ]);
  let refused = 0;
  fc.assert(fc.property(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 600 }), fc.boolean(), (at, bytes, cut) => {
    const data = cut ? whole.slice(0, at) : whole.slice();
    if (!cut) data.set(bytes.subarray(0, data.length - at), at);
    if (refusedBy(() => readArchive(data), ImageError, TarError)) refused++;
  }), { numRuns: 300, seed: 4 });
  expect(refused).toBeGreaterThan(100);
});

it('assembly: 300 lines of anything are errors with a line or bytes', () => {
  const words = ['mov', 'rax', 'eax', ',', '[', ']', '0x', '12', 'qword', 'jmp', 'label:', '+', '*', '"', 'times', 'dq', '%macro', 'add', '$', 'resb', '(', ';'];
  let wrong = 0;
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(fc.constantFrom(...words), { maxLength: 8 }).map((list) => list.join(' '))), (text) => {
    const { errors } = assemble(text, 'x.asm');
    for (const one of errors) expect(one.line).toBeGreaterThan(0);
    if (errors.length > 0) wrong++;
  }), { numRuns: 300, seed: 5 });
  expect(wrong).toBeGreaterThan(150);
});

it('machine code: any bytes disassemble to something', () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
    expect(disassemble(bytes, 0n)).toBeTruthy();
  }), { numRuns: 3000, seed: 6 });
});

it('files of nonsense given to the tools: an error message, a prompt, a status', () => {
  const world = createWorld(loadAssets(), 'lab', 3);
  const typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: afterEvents(world, 20_000_000) });
  waitForPrompt(typist);
  const tools = ['docker load -i', 'kubectl apply -f', 'virsh define', 'qemu-system-x86_64 -accel kvm -m 16 -nographic -no-reboot -kernel', 'bash', 'tar tf', 'sort'];
  let failed = 0;
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(...tools), (bytes, tool) => {
    perform(typist, { do: 'file', name: 'x', base64: toBase64(bytes) });
    const done = line(typist, `timeout 5 ${tool} /root/uploads/x > /dev/null 2>&1 < /dev/null`)!;
    expect(done.exit).not.toBeNull();
    if (done.exit !== 0) failed++;
  }), { numRuns: 70, seed: 7 });
  expect(failed).toBeGreaterThan(40);
});

it('100,000 random bytes at the terminal: the shell is there afterwards', () => {
  const world = createWorld(loadAssets(), 'empty-host', 4);
  const typist = createTypist(world, { until: Number.MAX_SAFE_INTEGER, expired: afterEvents(world, 20_000_000) });
  waitForPrompt(typist);
  let x = 12345;
  for (let n = 0; n < 500; n++) {
    const bytes = Uint8Array.from({ length: 200 }, () => {
      x = (Math.imul(x, 1103515245) + 12345) >>> 0;
      return (x >>> 16) & 255;
    });
    perform(typist, { do: 'type', tty: 'tty1', data: new TextDecoder('latin1').decode(bytes) });
    wait(typist, 2e6);
    if (n % 10 === 9) perform(typist, { do: 'type', tty: 'tty1', data: '\x03\r' });
  }
  for (let n = 0; n < 8; n++) perform(typist, { do: 'type', tty: 'tty1', data: '\x03\x04\x1b\x03' });
  perform(typist, { do: 'type', tty: 'tty2', data: 'echo alive on tty2\r' });
  typist.tty = 'tty2';
  expect(line(typist, 'echo still here')!.stdout).toContain('still here');
});
