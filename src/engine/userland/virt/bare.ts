/**
 * bare: a physical machine of its own, with nothing below it, on which the image is started that KVM's guests also are; its
 * serial line is on the terminal, C-a x takes it away. Here VMXON belongs to whoever writes the image. The machine has
 * what QEMU's pc has in this lab, isa-debug-exit at 0xf4 among it, and stops at a triple fault instead of starting again.
 */
import type { Body, Program } from '../../kernel/sys.ts';
import { complain, Failed, print } from '../lib/io.ts';
import { BadImage } from './qemu/boot.ts';
import { GENERATIONS, parseOptions } from './qemu/options.ts';
import { runMachine } from './qemu/qemu.ts';

const USAGE = `usage: bare -kernel FILE [-m MB] [-append TEXT] [-initrd FILE[,...]] [-cpu GENERATION] [-name NAME]

The image is one that qemu-system-x86_64 -kernel takes: multiboot, PVH, or flat 64-bit code.
C-a h lists the keys of the terminal. Exit status: what the image writes to port 0xf4, twice plus one; 0 at power off.
GENERATION: ${Object.keys(GENERATIONS).join(' ')}
`;
const TAKEN = new Set(['kernel', 'm', 'append', 'initrd', 'cpu', 'name', 'gdb']);
const FLAGS = new Set(['S', 's']);

export const bare: Program = function* (argv): Body {
  try {
    const words = argv.slice(1);
    if (words.length === 0 || words.some((word) => /^--?(h|help)$/.test(word))) {
      yield* print(USAGE);
      return words.length === 0 ? 1 : 0;
    }
    for (let n = 0; n < words.length; n++) {
      const name = /^--?(.+)$/.exec(words[n]!)?.[1] ?? '';
      if (FLAGS.has(name)) continue;
      if (!TAKEN.has(name)) throw new Failed(`${words[n]}: ${name === '' ? 'unexpected argument' : 'invalid option'}`);
      if (++n >= words.length) throw new Failed(`-${name}: requires an argument`);
    }
    const options = parseOptions(['bare', '-nographic', '-no-reboot', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', ...words]);
    if (options.kernel === null) throw new Failed('no image: give one with -kernel');
    return yield* runMachine({ ...options, accel: 'bare' });
  } catch (error) {
    if (error instanceof BadImage) yield* complain(`${error.message.replace(/^qemu(-system-x86_64)?: /, 'bare: ')}\n`);
    else if (error instanceof Failed) yield* complain(`bare: ${error.message}\n`);
    else throw error;
    return 1;
  }
};
