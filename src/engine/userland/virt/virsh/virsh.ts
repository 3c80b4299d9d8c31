/**
 * virsh, the program: global options, one command, a line of commands, or a prompt. Which hypervisor a URI means:
 * qemu:///system is libvirtd at its socket; test:///default is a driver inside virsh itself, new with every process.
 * Source: virsh(1). Left out: remote URIs, sessions of ordinary users, history and completion at the prompt.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { tryRead } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { LibvirtError } from '../libvirt/xml.ts';
import { callLibvirt, NoConnection, SOCKET } from '../libvirtd/rpc.ts';
import type { Context } from './commands.ts';
import { isTerminal, joinConsole } from './console.ts';
import { needsConnection, prepareAll, runCommands, runReady, splitLine } from './run.ts';
import { testDriver } from './testdriver.ts';

interface Settings {
  uri: string;
  quiet: boolean;
  readonly: boolean;
  timing: boolean;
  words: string[];
}

const VERSION_LONG = `Virsh command line tool of libvirt 9.0.0
See web site at https://libvirt.org/

Compiled with support for:
 Hypervisors: QEMU/KVM LXC LibXL OpenVZ VMware VirtualBox ESX Test
 Networking: Remote Network Bridging Interface udev Nwfilter
 Storage: Dir Disk Filesystem SCSI Multipath iSCSI iSCSI-direct LVM RBD Gluster ZFS
 Miscellaneous: Daemon Nodedev AppArmor SELinux Secrets Debug DTrace Readline
`;

const USAGE = `
virsh [options]... [<command_string>]
virsh [options]... <command> [args...]

  options:
    -c | --connect=URI      hypervisor connection URI
    -d | --debug=NUM        debug level [0-4]
    -e | --escape <char>    set escape sequence for console
    -h | --help             this help
    -k | --keepalive-interval=NUM
                            keepalive interval in seconds, 0 for disable
    -K | --keepalive-count=NUM
                            number of possible missed keepalive messages
    -l | --log=FILE         output logging to file
    -q | --quiet            quiet mode
    -r | --readonly         connect readonly
    -t | --timing           print timing information
    -v                      short version
    -V                      long version
         --version[=TYPE]   version, TYPE is short or long (default short)
`;

export const virsh: Program = function* (argv, env): Body {
  const settings: Settings = { uri: env.LIBVIRT_DEFAULT_URI ?? env.VIRSH_DEFAULT_CONNECT_URI ?? '', quiet: false, readonly: false, timing: false, words: [] };
  const done = yield* readOptions(argv.slice(1), settings);
  if (done !== null) return done;
  const output = createOutput();
  try {
    if (settings.words.length === 0) return yield* interactive(yield* connect(settings, output), output);
    const lines = settings.words.length === 1 ? splitLine(settings.words[0]!) : [settings.words];
    if (lines === null) output.error('missing "');
    const ready = lines === null ? null : prepareAll(output, lines);
    if (ready === null) {
      yield* output.flush();
      return 1;
    }
    const context = yield* connect(settings, output, needsConnection(ready));
    const { status } = yield* runReady(context, ready);
    yield* output.flush();
    return status;
  } catch (error) {
    if (!(error instanceof NoConnection)) throw error;
    yield* output.flush();
    yield* writeAll(2, bytes(`error: failed to connect to the hypervisor\nerror: ${error.message}\n`));
    return 1;
  }
};

/** The exit status when the options alone end it. */
function* readOptions(argv: readonly string[], settings: Settings): Call<number | null> {
  const refuse = function* (message: string): Call<number> {
    yield* writeAll(2, bytes(`error: ${message}\n`));
    return 1;
  };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (!word.startsWith('-') || word === '-') {
      settings.words = argv.slice(i);
      return null;
    }
    const [name, inline] = word.split(/=(.*)/s) as [string, string | undefined];
    switch (name) {
      case '-q':
      case '--quiet': settings.quiet = true; break;
      case '-r':
      case '--readonly': settings.readonly = true; break;
      case '-t':
      case '--timing': settings.timing = true; break;
      case '-c':
      case '--connect':
      case '-d':
      case '--debug':
      case '-e':
      case '--escape':
      case '-l':
      case '--log':
      case '-k':
      case '-K': {
        const value = inline ?? argv[++i];
        if (value === undefined) return yield* refuse(`option '${name}' requires an argument`);
        if (name === '-c' || name === '--connect') settings.uri = value;
        break;
      }
      case '-v':
      case '--version':
      case '-V':
        yield* writeAll(1, bytes(name === '-V' || inline === 'long' ? VERSION_LONG : '9.0.0\n'));
        return 0;
      case '-h':
      case '--help':
        yield* writeAll(1, bytes(USAGE));
        return 0;
      default: return yield* refuse(`unsupported option '${word}'. See --help.`);
    }
  }
  return null;
}

/** Standard output and error in the order in which they were said. */
interface Output {
  print(text: string): void;
  error(text: string): void;
  flush(): Call<void>;
}

function createOutput(): Output {
  const parts: { fd: number; text: string }[] = [];
  const add = (fd: number, said: string): void => {
    const last = parts.at(-1);
    if (last?.fd === fd) last.text += said;
    else parts.push({ fd, text: said });
  };
  return {
    print: (said) => add(1, said),
    error: (said) => add(2, `error: ${said}\n`),
    *flush() {
      for (const part of parts.splice(0)) yield* writeAll(part.fd, bytes(part.text));
    },
  };
}

const WRITES: Readonly<Record<string, string>> = {
  start: 'virDomainCreate', create: 'virDomainCreateXML', define: 'virDomainDefineXMLFlags', destroy: 'virDomainDestroy', shutdown: 'virDomainShutdown', reboot: 'virDomainReboot', reset: 'virDomainReset',
  suspend: 'virDomainSuspend', resume: 'virDomainResume', undefine: 'virDomainUndefine', autostart: 'virDomainSetAutostart', qmp: 'virDomainQemuMonitorCommand',
};

function* connect(settings: Settings, output: Output, needed = true): Call<Context> {
  const uri = settings.uri === '' ? 'qemu:///system' : settings.uri;
  const driver: Driver = needed ? yield* driverOf(uri) : noDriver;
  return {
    uri, quiet: settings.quiet, print: output.print, error: output.error, flush: output.flush,
    *call(method, args = {}) {
      if (settings.readonly && WRITES[method]) throw new LibvirtError(`operation forbidden: read only access prevents ${WRITES[method]}`);
      return yield* driver(method, args);
    },
    *readFile(path) {
      return yield* tryRead(path);
    },
    *console(name, pty) {
      if (!(yield* isTerminal(0))) {
        output.error('Cannot run interactive console without a controlling TTY');
        return false;
      }
      output.print(`Connected to domain '${name}'\nEscape character is ^] (Ctrl + ])\n`);
      yield* output.flush();
      try {
        yield* joinConsole(pty);
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        output.error(`Cannot open ${pty}: ${error.message}`);
        return false;
      }
      return true;
    },
    ...(settings.timing ? { clock: () => sys('clock_gettime', 'monotonic') } : {}),
  };
}

type Driver = (method: string, args: Readonly<Record<string, unknown>>) => Call<unknown>;

function* noDriver(): Call<never> {
  throw new NoConnection('not connected');
}

/** Throws NoConnection. */
function* driverOf(uri: string): Call<Driver> {
  if (uri === 'test:///default') {
    const { nodename } = yield* sys('uname');
    return testDriver(nodename);
  }
  const socket = /^qemu(?:\+unix)?:\/\/\/system(?:\?socket=([^&]+))?$/.exec(uri);
  const path = socket?.[1] ?? SOCKET;
  if (uri === 'qemu:///session') throw new NoConnection('not modelled: qemu:///session (use qemu:///system)');
  yield* callLibvirt('version', {}, path);
  if (!socket) throw new NoConnection(`no connection driver available for ${uri}`);
  return (method, args) => callLibvirt(method, args, path);
}

/** The prompt: a line at a time until the end of input or quit. */
function* interactive(context: Context, output: Output): Call<number> {
  const prompt = (yield* sys('geteuid')) === 0 ? 'virsh # ' : 'virsh > ';
  const tty = yield* isTerminal(0);
  if (!context.quiet) output.print("Welcome to virsh, the virtualization interactive terminal.\n\nType:  'help' for help with commands\n       'quit' to quit\n\n");
  let held = '';
  let status = 0;
  for (;;) {
    if (tty) output.print(prompt);
    yield* output.flush();
    while (!held.includes('\n')) {
      const data = yield* sys('read', 0, 4096);
      if (data.length === 0) {
        output.print('\n');
        yield* output.flush();
        return status;
      }
      held += text(data);
    }
    const end = held.indexOf('\n');
    const lines = splitLine(held.slice(0, end));
    held = held.slice(end + 1);
    if (lines === null) {
      context.error('missing "');
      continue;
    }
    const ran = yield* runCommands(context, lines);
    status = ran.status;
    if (ran.quit) return status;
  }
}
