/** The modules that can be imported, by name. Everything else is ModuleNotFoundError, unless a file on sys.path has it. */
import { builtin, coroutine, defineType, type Value } from '../values.ts';
import { type ModuleMaker, setModules } from '../imports.ts';
import { call } from '../call.ts';
import { jsonModule } from './json.ts';
import { osModule } from './os.ts';
import { osPath } from './ospath.ts';
import { randomModule } from './random.ts';
import { socketModule } from './socket.ts';
import { subprocessModule } from './subprocess.ts';
import { errnoModule, mathModule, signalModule, sysModule, timeModule } from './system.ts';

const ASCII = 'abcdefghijklmnopqrstuvwxyz';
const PUNCTUATION = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~';
const WHITE = ' \t\n\r\x0b\x0c';

function stringModule(): Map<string, Value> {
  return new Map<string, Value>([
    ['ascii_lowercase', ASCII], ['ascii_uppercase', ASCII.toUpperCase()], ['ascii_letters', ASCII + ASCII.toUpperCase()], ['digits', '0123456789'], ['hexdigits', '0123456789abcdefABCDEF'], ['octdigits', '01234567'],
    ['punctuation', PUNCTUATION], ['whitespace', WHITE], ['printable', `0123456789${ASCII}${ASCII.toUpperCase()}${PUNCTUATION}${WHITE}`],
  ]);
}

const atexitModule: ModuleMaker = () => new Map<string, Value>([['register', coroutine('register', function* (vm, a, kw) {
  vm.atexit.push(function* () { yield* call(vm, a[0]!, a.slice(1), kw); });
  return a[0]!;
})]]);

/** Names of typing stand for themselves: annotations are not evaluated. */
const typingModule: ModuleMaker = () => new Map<string, Value>(['Any', 'Optional', 'List', 'Dict', 'Tuple', 'Union', 'Callable', 'Iterable', 'Iterator'].map((name) => [name, defineType(name, undefined, 'typing')]));

const gcModule: ModuleMaker = () => new Map<string, Value>([['collect', builtin('collect', (vm) => { vm.heap.statements = vm.heap.visited;
  return 0n; })], ['enable', builtin('enable', () => null)], ['disable', builtin('disable', () => null)]]);

setModules(new Map<string, ModuleMaker>([
  ['os', osModule], ['posix', osModule], ['os.path', osPath], ['posixpath', osPath], ['sys', sysModule], ['time', timeModule], ['errno', errnoModule], ['signal', signalModule], ['math', mathModule], ['json', jsonModule], ['socket', socketModule],
  ['subprocess', subprocessModule], ['random', randomModule], ['string', stringModule], ['atexit', atexitModule], ['typing', typingModule], ['gc', gcModule],
  ['builtins', (vm) => vm.builtins],
]));
