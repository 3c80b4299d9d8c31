/** --version and --help, which every program of a package answers in the same way. */
import type { Program } from '../../kernel/sys.ts';
import { print } from '../lib/io.ts';

/** "PACKAGE VERSION" in the way the package writes it, e.g. "(GNU coreutils) 9.7" or "from util-linux 2.41.5". */
export function packaged(programs: Readonly<Record<string, Program>>, version: string, skip: ReadonlySet<string> = new Set()): Record<string, Program> {
  return Object.fromEntries(Object.entries(programs).map(([path, program]) => {
    const name = path.slice(path.lastIndexOf('/') + 1);
    return [path, skip.has(name) ? program : answering(name, program, version)];
  }));
}

function answering(name: string, program: Program, version: string): Program {
  return function* (argv, env) {
    const [, first] = argv;
    if (argv.length === 2 && (first === '--version' || (first === '-V' && version.startsWith('from')))) {
      yield* print(`${name} ${version}\n`);
      return 0;
    }
    if (argv.length === 2 && first === '--help') {
      yield* print(`Usage: ${name} [OPTION]... [ARGUMENT]...\n\nnot modelled: the full help; the options people use work as in ${name}(1).\n`);
      return 0;
    }
    return yield* program(argv, env);
  };
}
