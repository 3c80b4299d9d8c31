/** rdmsr and wrmsr over /dev/cpu/N/msr. Source: rdmsr(1), wrmsr(1) of msr-tools 1.3. */
import { AT_FDCWD, O_RDONLY, O_WRONLY, SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { BadOption, lastValue, parseOptions } from '../../lib/args.ts';
import { list } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print, strerror } from '../../lib/io.ts';
import { writeAll } from '../../lib/http.ts';

const HEX = /^(0x[0-9a-f]+|0[0-7]*|[1-9]\d*)$/i;
const PROCESSORS = '  --all          -a  all processors\n  --processor #  -p  Select processor number (default 0)\n';
const READ_USAGE = `Usage: rdmsr [options] regno\n  --help         -h  Print this help\n  --version      -V  Print current version\n  --hexadecimal  -x  Hexadecimal output (lower case)\n  --capital-hex  -X  Hexadecimal output (upper case)\n  --decimal      -d  Signed decimal output\n  --unsigned     -u  Unsigned decimal output\n  --octal        -o  Octal output\n  --c-language   -c  Format output as a C language constant\n  --zero-pad     -0  Output leading zeroes\n  --raw          -r  Raw binary output\n${PROCESSORS}  --bitfield h:l -f  Output bits [h:l] only\n`;
const WRITE_USAGE = `Usage: wrmsr [options] regno value...\n  --help         -h  Print this help\n  --version      -V  Print current version\n${PROCESSORS}`;

class Told extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** What strtoul with base 0 makes of a word; null: not a number. */
function number(word: string | undefined): bigint | null {
  if (word === undefined || !HEX.test(word)) return null;
  return BigInt(/^0[0-7]+$/.test(word) ? `0o${word.slice(1)}` : word);
}

function program(usage: string, spec: string, run: (o: ReturnType<typeof parseOptions>) => Call<number>): Program {
  return function* (argv): Body {
    const name = usage.slice(7, 12);
    try {
      const o = parseOptions(`h/help V/version a/all p/processor= ${spec}`, argv.slice(1));
      if (o.on.has('help')) {
        yield* complain(usage);
        return 0;
      }
      if (o.on.has('version')) {
        yield* complain(`${name}: version msr-tools-1.3\n`);
        return 0;
      }
      return yield* run(o);
    } catch (error) {
      if (error instanceof BadOption) {
        yield* complain(`${name}: ${error.message}\n${usage}`);
        return 127;
      }
      if (!(error instanceof Told)) throw error;
      yield* complain(error.message);
      return error.status;
    }
  };
}

function* processors(o: ReturnType<typeof parseOptions>): Call<number[]> {
  if (o.on.has('all')) return (yield* list('/dev/cpu')).map(({ name }) => Number(name)).filter((n) => Number.isInteger(n)).sort((a, b) => a - b);
  const word = lastValue(o, 'processor') ?? '0';
  const n = number(word);
  if (n === null || n > 5119n) throw new Told(`${word}: invalid processor number\n`, 127);
  return [Number(n)];
}

/** Opens the register's device of a processor; throws Told in the tool's words. */
function* open(who: string, cpu: number, flags: number): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, `/dev/cpu/${cpu}/msr`, flags);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'ENXIO' || error.errno === 'ENOENT') throw new Told(error.errno === 'ENXIO' ? `${who}: No CPU ${cpu}\n` : `${who}: open: ${strerror(error)}\n`, error.errno === 'ENXIO' ? 2 : 127);
    if (error.errno === 'EIO') throw new Told(`${who}: CPU ${cpu} doesn't support MSRs\n`, 3);
    throw new Told(`${who}: open: ${strerror(error)}\n`, 127);
  }
}

export const rdmsr = program(READ_USAGE, 'x/hexadecimal X/capital-hex d/decimal u/unsigned o/octal c/c-language 0/zero-pad r/raw f/bitfield=', function* (o): Call<number> {
  const field = lastValue(o, 'bitfield');
  const [high, low] = (field ?? '63:0').split(':').map((part) => number(part)) as [bigint | null, bigint | null];
  if (high === null || low === null || high < low || high > 63n) throw new Told(`rdmsr: ${high !== null && low !== null ? 'invalid bitfield' : `invalid bitfield: ${field}`}\n`, 127);
  if (o.words.length !== 1) throw new Told(READ_USAGE, 127);
  const register = number(o.words[0]);
  if (register === null || register > 0xffff_ffffn) throw new Told('Failed to parse register number.\n', 127);
  for (const cpu of yield* processors(o)) {
    const fd = yield* open('rdmsr', cpu, O_RDONLY);
    const data = yield* readRegister(fd, cpu, register);
    yield* sys('close', fd);
    if (o.on.has('raw')) yield* writeAll(1, data);
    else yield* print(`${shown(o, new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0, true), high, low)}\n`);
  }
  return 0;
});

function* readRegister(fd: number, cpu: number, register: bigint): Call<Uint8Array> {
  try {
    return yield* sys('pread64', fd, 8, Number(register));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Told(error.errno === 'EIO' ? `rdmsr: CPU ${cpu} cannot read MSR 0x${register.toString(16).padStart(8, '0')}\n` : `rdmsr: pread: ${strerror(error)}\n`, error.errno === 'EIO' ? 4 : 127);
  }
}

function shown(o: ReturnType<typeof parseOptions>, value: bigint, high: bigint, low: bigint): string {
  const bits = high - low + 1n;
  const part = BigInt.asUintN(Number(bits), value >> low);
  const pad = o.on.has('zero-pad');
  const width = (base: bigint): number => (pad ? Number((bits + base - 1n) / base) : 1);
  if (o.on.has('decimal')) return String(BigInt.asIntN(Number(bits), part));
  if (o.on.has('unsigned')) return String(part);
  if (o.on.has('octal')) return part.toString(8).padStart(width(3n), '0');
  const hex = part.toString(16).padStart(width(4n), '0');
  if (o.on.has('c-language')) return `0x${hex}${bits > 32n ? 'ULL' : ''}`;
  return o.on.has('capital-hex') ? hex.toUpperCase() : hex;
}

export const wrmsr = program(WRITE_USAGE, '', function* (o): Call<number> {
  if (o.words.length < 2) throw new Told(WRITE_USAGE, 127);
  const [register, ...values] = o.words.map(number);
  if (register === null || register === undefined || values.includes(null)) throw new Told(WRITE_USAGE, 127);
  for (const cpu of yield* processors(o)) {
    const fd = yield* open('wrmsr', cpu, O_WRONLY);
    for (const value of values as bigint[]) {
      const data = new DataView(new ArrayBuffer(8));
      data.setBigUint64(0, BigInt.asUintN(64, value), true);
      try {
        yield* sys('pwrite64', fd, new Uint8Array(data.buffer), Number(register));
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        throw new Told(error.errno === 'EIO' ? `wrmsr: CPU ${cpu} cannot set MSR 0x${register.toString(16).padStart(8, '0')} to 0x${BigInt.asUintN(64, value).toString(16).padStart(16, '0')}\n` : `wrmsr: pwrite: ${strerror(error)}\n`, error.errno === 'EIO' ? 4 : 127);
      }
    }
    yield* sys('close', fd);
  }
  return 0;
});
