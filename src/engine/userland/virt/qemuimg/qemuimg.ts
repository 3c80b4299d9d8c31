/** qemu-img 7.2: its commands by name. Left out: amend, bench, bitmap; formats other than raw and qcow2. Source: qemu-img(1). */
import { ERRNO, SysError } from '../../../kernel/abi.ts';
import type { Body, Program } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print } from '../../lib/io.ts';
import { commit, rebase, resize, snapshot } from './change.ts';
import { check } from './check.ts';
import { compare, convert, dd } from './convert.ts';
import { create } from './create.ts';
import { FORMATS } from './disk.ts';
import { ImageError } from './format.ts';
import { info, map, measure } from './info.ts';
import { Usage } from './sizes.ts';

const COMMANDS: Readonly<Record<string, (argv: readonly string[]) => Call<number>>> = { check, commit, compare, convert, create, dd, info, map, measure, rebase, resize, snapshot };
const ABSENT = ['amend', 'bench', 'bitmap'];

export const VERSION = '7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers\n';

const HELP = `usage: qemu-img [standard options] command [command options]
QEMU disk image utility

    '-h', '--help'       display this help and exit
    '-V', '--version'    output version information and exit

Command syntax:
  check [-q] [-f fmt] [--output=ofmt] [-r [leaks | all]] [-U] filename
  commit [-q] [-f fmt] [-d] filename
  compare [-f fmt] [-F fmt] [-q] [-s] [-U] filename1 filename2
  convert [-U] [-c] [-p] [-q] [-n] [-f fmt] [-O output_fmt] [-B backing_file [-F backing_fmt]] [-o options] [-l snapshot_param] [-S sparse_size] filename output_filename
  create [-q] [-f fmt] [-b backing_file [-F backing_fmt]] [-u] [-o options] filename [size]
  dd [-U] [-f fmt] [-O output_fmt] [bs=block_size] [count=blocks] [skip=blocks] if=input of=output
  info [-f fmt] [--output=ofmt] [--backing-chain] [-U] filename
  map [-f fmt] [--start-offset=offset] [--max-length=len] [--output=ofmt] [-U] filename
  measure [--output=ofmt] [-O output_fmt] [-o options] [--size N | [-f fmt] filename]
  snapshot [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] filename
  rebase [-U] [-q] [-f fmt] [-u] -b backing_file [-F backing_fmt] filename
  resize [-f fmt] [--preallocation=prealloc] [-q] [--shrink] filename [+ | -]size

Supported formats: ${FORMATS.join(' ')}
(raw and qcow2 are modelled)
`;

/** A complaint about the command line points at the help; one about an image does not. */
export function guarded(name: string, run: (argv: readonly string[]) => Call<number>): Program {
  return function* (argv): Body {
    try {
      return yield* run(argv.slice(1));
    } catch (error) {
      if (error instanceof SysError && error.errno === 'EPIPE') return 1;
      const message = error instanceof SysError ? ERRNO[error.errno][1] : error instanceof Usage || error instanceof ImageError || error instanceof Failed ? error.message : null;
      if (message === null) throw error;
      yield* complain(`${name}: ${message}\n${error instanceof Usage ? `Try '${name} --help' for more information\n` : ''}`);
      return error instanceof Failed ? error.status : 1;
    }
  };
}

export const qemuImg: Program = guarded('qemu-img', function* (argv) {
  const [command, ...rest] = argv;
  if (command === undefined) throw new Usage('Not enough arguments');
  if (command === '-V' || command === '--version') {
    yield* print(`qemu-img version ${VERSION}`);
    return 0;
  }
  if (command === '-h' || command === '--help' || (Object.hasOwn(COMMANDS, command) && rest.some((word) => word === '-h' || word === '--help'))) {
    yield* print(`qemu-img version ${VERSION}${HELP}`);
    return 0;
  }
  if (command.startsWith('-')) throw new Usage(`unrecognized option '${command}'`);
  if (ABSENT.includes(command)) throw new Failed(`not modelled: ${command}`);
  if (!Object.hasOwn(COMMANDS, command)) throw new Usage(`Command not found: ${command}`);
  return yield* COMMANDS[command]!(rest);
});
