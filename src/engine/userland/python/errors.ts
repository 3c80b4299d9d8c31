/** Exceptions: the tree of their types, raising, and the OSError that a failed system call becomes. Source: Python 3.13 library reference. */
import { ERRNO, type SysError } from '../../kernel/abi.ts';
import { builtin, defineType, type Instance, isObj, type Tuple, tuple, type Type, typeOf, type Value } from './values.ts';

/** A Python exception on its way. `noted` is the frame that entered itself into the traceback last. */
export class PyError extends Error {
  readonly value: Instance;
  noted: object | null = null;
  constructor(value: Instance) {
    const engine = Error as unknown as { stackTraceLimit?: number };
    const limit = engine.stackTraceLimit ?? 10;
    engine.stackTraceLimit = 0;
    super(value.type.name);
    engine.stackTraceLimit = limit;
    this.value = value;
  }
}

const TREE = `BaseException
 BaseExceptionGroup
 GeneratorExit
 KeyboardInterrupt
 SystemExit
 Exception
  ArithmeticError
   FloatingPointError
   OverflowError
   ZeroDivisionError
  AssertionError
  AttributeError
  BufferError
  EOFError
  ImportError
   ModuleNotFoundError
  LookupError
   IndexError
   KeyError
  MemoryError
  NameError
   UnboundLocalError
  OSError
   BlockingIOError
   ChildProcessError
   ConnectionError
    BrokenPipeError
    ConnectionAbortedError
    ConnectionRefusedError
    ConnectionResetError
   FileExistsError
   FileNotFoundError
   InterruptedError
   IsADirectoryError
   NotADirectoryError
   PermissionError
   ProcessLookupError
   TimeoutError
  ReferenceError
  RuntimeError
   NotImplementedError
   RecursionError
  StopAsyncIteration
  StopIteration
  SyntaxError
   IndentationError
    TabError
  SystemError
  TypeError
  ValueError
   UnicodeError
    UnicodeDecodeError
    UnicodeEncodeError
  Warning
   DeprecationWarning
   UserWarning
   RuntimeWarning`;

function grown(): Map<string, Type> {
  const types = new Map<string, Type>();
  const path: Type[] = [];
  for (const line of TREE.split('\n')) {
    const depth = line.length - line.trimStart().length;
    const type = defineType(line.trim(), path[depth - 1]);
    path[depth] = type;
    types.set(type.name, type);
  }
  return types;
}
export const EXCEPTIONS: ReadonlyMap<string, Type> = grown();

export const exceptionType = (name: string): Type => EXCEPTIONS.get(name)!;

export const isException = (type: Type): boolean => type.mro.includes(exceptionType('BaseException'));

export function makeException(type: Type, args: readonly Value[]): Instance {
  const made: Instance = { t: 'inst', type, attrs: new Map(), args };
  if (type.mro.includes(exceptionType('OSError')) && args.length >= 2 && args.length <= 5) {
    const precise = type === exceptionType('OSError') && typeof args[0] === 'bigint' ? OS_TYPES.get(Number(args[0])) : undefined;
    if (precise) (made as { type: Type }).type = exceptionType(precise);
    made.attrs.set('errno', args[0]!).set('strerror', args[1]!).set('filename', args[2] ?? null).set('filename2', args[4] ?? null);
    made.args = args.slice(0, 2);
  }
  if (type === exceptionType('SystemExit')) made.attrs.set('code', args.length === 0 ? null : args.length === 1 ? args[0]! : tuple(args));
  if (type === exceptionType('StopIteration')) made.attrs.set('value', args[0] ?? null);
  return made;
}

/** The error to throw: `throw raised('TypeError', 'message')`. */
export function raised(name: string, ...args: Value[]): PyError {
  return new PyError(makeException(exceptionType(name), args));
}
export const typeError = (message: string): PyError => raised('TypeError', message);
export const valueError = (message: string): PyError => raised('ValueError', message);
export const notModelled = (what: string): PyError => raised('NotImplementedError', `not modelled: ${what}`);

const OS_TYPES = new Map<number, string>([
  ['EAGAIN', 'BlockingIOError'], ['EALREADY', 'BlockingIOError'], ['EINPROGRESS', 'BlockingIOError'], ['ECHILD', 'ChildProcessError'], ['EPIPE', 'BrokenPipeError'],
  ['ECONNABORTED', 'ConnectionAbortedError'], ['ECONNREFUSED', 'ConnectionRefusedError'], ['ECONNRESET', 'ConnectionResetError'], ['EEXIST', 'FileExistsError'],
  ['ENOENT', 'FileNotFoundError'], ['EINTR', 'InterruptedError'], ['EISDIR', 'IsADirectoryError'], ['ENOTDIR', 'NotADirectoryError'], ['EACCES', 'PermissionError'],
  ['EPERM', 'PermissionError'], ['ESRCH', 'ProcessLookupError'], ['ETIMEDOUT', 'TimeoutError'],
].map(([errno, name]) => [ERRNO[errno as keyof typeof ERRNO][0], name!]));

/** A failed call as Python has it: the subclass of OSError that its errno has, with the names it was about. */
export function osError(error: SysError, one?: Value, two?: Value): PyError {
  const [number, text] = ERRNO[error.errno];
  const args: Value[] = [BigInt(number), text];
  if (one !== undefined) args.push(one);
  if (two !== undefined) args.push(null, two);
  return new PyError(makeException(exceptionType('OSError'), args));
}

export const isError = (error: unknown, name: string): boolean => error instanceof PyError && error.value.type.mro.includes(exceptionType(name));

/** The class and instance that `raise X` means. Throws TypeError. */
export function exceptionOf(v: Value): Instance | null {
  if (isObj(v, 'inst') && isException(v.type)) return v;
  return null;
}

for (const type of EXCEPTIONS.values()) type.make = function* (_vm, args) { return makeException(type, args); };
exceptionType('BaseException').attrs.set('with_traceback', builtin('with_traceback', (_vm, args) => args[0]!));
exceptionType('BaseException').attrs.set('add_note', builtin('add_note', (_vm, args) => {
  const self = args[0] as Instance;
  const notes = self.attrs.get('__notes__');
  if (isObj(notes, 'list')) notes.items.push(args[1]!);
  else self.attrs.set('__notes__', { t: 'list', items: [args[1]!] });
  return null;
}));

export const argsTuple = (e: Instance): Tuple => tuple(e.args ?? []);
export { typeOf };
