/** runc's subcommands as data: usage, description and options; the parser and the help texts read the same rows. */
import { tabulate } from '../../kube/kubectl/tabwriter.ts';
import { WORDS } from './words.ts';

interface CommandHelp {
  usage: string;
  /** What follows "runc NAME [command options]". */
  args: string;
  /** Between USAGE and DESCRIPTION. */
  where: string;
  description: string;
  /** Options as lib/args reads them. */
  spec: string;
  /** "--bundle value, -b value" and what it is. */
  options: readonly (readonly [string, string])[];
  /** Least and most arguments. */
  count: readonly [number, number];
}

const WHERE_ID = `

Where "<container-id>" is your name for the instance of the container that you
are starting. The name you provide for the container instance must be unique on
your host.`;
const WHERE_PLAIN = '\n\nWhere "<container-id>" is the name for the instance of the container.';
const BUNDLE = ['--bundle value, -b value', 'path to the root of the bundle directory, defaults to the current directory'] as const;
const SOCKET = ['--console-socket value', "path to an AF_UNIX socket which will receive a file descriptor referencing the master end of the console's pseudoterminal"] as const;
const PID_FILE = ['--pid-file value', 'specify the file to write the process id to'] as const;
const NO_PIVOT = ['--no-pivot', 'do not use pivot root to jail process inside rootfs.  This should be used whenever the rootfs is on top of a ramdisk'] as const;
const KEYRING = ['--no-new-keyring', 'do not create a new session keyring for the container.  This will cause the container to inherit the calling processes session key'] as const;
const PRESERVE = ['--preserve-fds value', 'Pass N additional file descriptors to the container (stdio + $LISTEN_FDS + N in total) (default: 0)'] as const;
const about = (what: string, then: string): string => `   The ${what} command creates an instance of a container for a bundle. The bundle
is a directory with a specification file named "config.json" and a root
filesystem.

The specification file includes an args parameter. The args parameter is used
to specify command(s) that get run when the container is started. To change the
command(s) that get executed on ${then}, edit the args parameter of the spec. See
"runc spec --help" for more explanation.`;
const plain = (usage: string, args: string, count: readonly [number, number], spec = '', options: CommandHelp['options'] = [], description = ''): CommandHelp => ({
  usage, args, where: args === '<container-id>' ? WHERE_PLAIN : '', description, spec, options, count,
});

const WHERE_ROOT = '\n\nWhere the given root is specified via the global option "--root"\n(default: "/run/runc").\n\nEXAMPLE 1:\nTo list containers created via the default "--root":\n       # runc list\n\nEXAMPLE 2:\nTo list containers created using a non-default value for "--root":\n       # runc --root value list';

export const COMMANDS: Readonly<Record<string, CommandHelp>> = {
  create: {
    usage: 'create a container', args: '<container-id>', where: WHERE_ID, description: about('create', 'start'), count: [1, 1],
    spec: 'b/bundle= console-socket= pid-file= no-pivot no-new-keyring preserve-fds=', options: [BUNDLE, SOCKET, PID_FILE, NO_PIVOT, KEYRING, PRESERVE],
  },
  delete: plain('delete any resources held by the container often used with detached container', '<container-id>', [1, 1], 'f/force', [['--force, -f', 'Forcibly deletes the container if it is still running (uses SIGKILL)']]),
  events: plain('display container events such as OOM notifications, cpu, memory, and IO usage statistics', '<container-id>', [1, 1], 'interval= stats', [
    ['--interval value', 'set the stats collection interval (default: 5s)'], ['--stats', "display the container's stats then exit"],
  ]),
  exec: plain('execute new process inside the container', '<container-id> <command> [command options]  || -p process.json <container-id>', [1, 1 << 20],
    'console-socket= cwd= e/env= t/tty u/user= g/additional-gids= p/process= d/detach pid-file= process-label= apparmor= no-new-privs c/cap= preserve-fds= cgroup= ignore-paused', [
      SOCKET,
      ['--cwd value', 'current working directory in the container'],
      ['--env value, -e value', 'set environment variables'],
      ['--tty, -t', 'allocate a pseudo-TTY'],
      ['--user value, -u value', 'UID (format: <uid>[:<gid>])'],
      ['--additional-gids value, -g value', 'additional gids'],
      ['--process value, -p value', 'path to the process.json'],
      ['--detach, -d', 'detach from the container\'s process'],
      PID_FILE,
      ['--process-label value', 'set the asm process label for the process commonly used with selinux'],
      ['--apparmor value', 'set the apparmor profile for the process'],
      ['--no-new-privs', 'set the no new privileges value for the process'],
      ['--cap value, -c value', 'add a capability to the bounding set for the process'],
      PRESERVE,
      ['--cgroup value', 'run the process in an (existing) sub-cgroup(s). Format is [<controller>:]<cgroup>.'],
      ['--ignore-paused', 'allow exec in a paused container'],
    ]),
  features: plain('show the enabled features', '[arguments...]', [0, 0]),
  kill: plain('kill sends the specified signal (default: SIGTERM) to the container\'s init process', '<container-id> [signal]', [1, 2],
    'a/all', [
      ['--all, -a', 'send the specified signal to all processes inside the container'],
    ]),
  list: { ...plain('lists containers started by runc with the given root', '', [0, 0], 'f/format= q/quiet', [
    ['--format value, -f value', 'select one of: table or json (default: "table")'], ['--quiet, -q', 'display only container IDs'],
  ]), where: WHERE_ROOT },
  pause: plain('pause suspends all processes inside the container', '<container-id>', [1, 1]),
  ps: plain('ps displays the processes running inside a container', '<container-id> [ps options]', [1, 1 << 20], 'f/format=', [['--format value, -f value', 'select one of: table or json (default: "table")']]),
  resume: plain('resumes all processes that have been previously paused', '<container-id>', [1, 1]),
  run: {
    usage: 'create and run a container', args: '<container-id>', where: WHERE_ID, description: about('run', 'start'), count: [1, 1],
    spec: 'b/bundle= console-socket= d/detach keep pid-file= no-subreaper no-pivot no-new-keyring preserve-fds=',
    options: [
      BUNDLE, SOCKET, ['--detach, -d', "detach from the container's process"], ['--keep', 'do not delete the container after it exits'], PID_FILE,
      ['--no-subreaper', 'disable the use of the subreaper used to reap reparented processes'], NO_PIVOT, KEYRING, PRESERVE,
    ],
  },
  spec: plain('create a new specification file', '[arguments...]', [0, 0], 'b/bundle= rootless', [['--bundle value, -b value', 'path to the root of the bundle directory'], ['--rootless', 'generate a configuration for a rootless container']]),
  start: plain('executes the user defined process in a created container', '<container-id>', [1, 1]),
  state: plain('output the state of a container', '<container-id>', [1, 1]),
  update: { ...plain('update container resource constraints', '<container-id>', [1, 1],
    'r/resources= blkio-weight= cpu-period= cpu-quota= cpu-share= cpu-rt-period= cpu-rt-runtime= cpuset-cpus= cpuset-mems= memory= memory-reservation= memory-swap= pids-limit= l3-cache-schema= mem-bw-schema=', [
      ['--resources value, -r value', 'path to the file containing the resources to update or \'-\' to read from the standard input\n\nThe accepted format is as follow (unchanged values can be omitted):\n\n{\n  "memory": {\n    "limit": 0,\n    "reservation": 0,\n    "swap": 0\n  },\n  "cpu": {\n    "shares": 0,\n    "quota": 0,\n    "period": 0,\n    "realtimeRuntime": 0,\n    "realtimePeriod": 0,\n    "cpus": "",\n    "mems": ""\n  },\n  "blockIO": {\n    "weight": 0\n  }\n}\n\nNote: if data is to be read from a file or the standard input, all\nother options are ignored.'],
      ['--blkio-weight value', 'Specifies per cgroup weight, range is from 10 to 1000 (default: 0)'],
      ['--cpu-period value', 'CPU CFS period to be used for hardcapping (in usecs). 0 to use system default'],
      ['--cpu-quota value', 'CPU CFS hardcap limit (in usecs). Allowed cpu time in a given period'],
      ['--cpu-share value', 'CPU shares (relative weight vs. other containers)'],
      ['--cpu-rt-period value', 'CPU realtime period to be used for hardcapping (in usecs). 0 to use system default'],
      ['--cpu-rt-runtime value', 'CPU realtime hardcap limit (in usecs). Allowed cpu time in a given period'],
      ['--cpuset-cpus value', 'CPU(s) to use'],
      ['--cpuset-mems value', 'Memory node(s) to use'],
      ['--memory value', 'Memory limit (in bytes)'],
      ['--memory-reservation value', 'Memory reservation or soft_limit (in bytes)'],
      ['--memory-swap value', 'Total memory usage (memory + swap); set \'-1\' to enable unlimited swap'],
      ['--pids-limit value', 'Maximum number of pids allowed in the container (default: 0)'],
      ['--l3-cache-schema value', 'The string of Intel RDT/CAT L3 cache schema'],
      ['--mem-bw-schema value', 'The string of Intel RDT/MBA memory bandwidth schema'],
    ]), where: '' },
  checkpoint: plain('checkpoint a running container', '<container-id>', [1, 1],
    'image-path= work-path= parent-path= leave-running tcp-established ext-unix-sk shell-job lazy-pages status-fd= page-server= file-locks pre-dump manage-cgroups-mode= empty-ns= auto-dedup', [
      ['--image-path value', 'path for saving criu image files'],
      ['--work-path value', 'path for saving work files and logs'],
      ['--parent-path value', 'path for previous criu image files in pre-dump'],
      ['--leave-running', 'leave the process running after checkpointing'],
      ['--tcp-established', 'allow open tcp connections'],
      ['--ext-unix-sk', 'allow external unix sockets'],
      ['--shell-job', 'allow shell jobs'],
      ['--lazy-pages', 'use userfaultfd to lazily restore memory pages'],
      ['--status-fd value', 'criu writes \\0 to this FD once lazy-pages is ready (default: -1)'],
      ['--page-server value', 'ADDRESS:PORT of the page server'],
      ['--file-locks', 'handle file locks, for safety'],
      ['--pre-dump', 'dump container\'s memory information only, leave the container running after this'],
      ['--manage-cgroups-mode value', 'cgroups mode: \'soft\' (default), \'full\' and \'strict\''],
      ['--empty-ns value', 'create a namespace, but don\'t restore its properties'],
      ['--auto-dedup', 'enable auto deduplication of memory images'],
    ]),
  restore: plain('restore a container from a previous checkpoint', '<container-id>', [1, 1],
    'console-socket= image-path= work-path= tcp-established ext-unix-sk shell-job file-locks manage-cgroups-mode= b/bundle= d/detach pid-file= no-subreaper no-pivot empty-ns= auto-dedup lazy-pages lsm-profile= lsm-mount-context=', [
      SOCKET,
      ['--image-path value', 'path to criu image files for restoring'],
      ['--work-path value', 'path for saving work files and logs'],
      ['--tcp-established', 'allow open tcp connections'],
      ['--ext-unix-sk', 'allow external unix sockets'],
      ['--shell-job', 'allow shell jobs'],
      ['--file-locks', 'handle file locks, for safety'],
      ['--manage-cgroups-mode value', 'cgroups mode: \'soft\' (default), \'full\' and \'strict\''],
      ['--bundle value, -b value', 'path to the root of the bundle directory'],
      ['--detach, -d', 'detach from the container\'s process'],
      PID_FILE,
      ['--no-subreaper', 'disable the use of the subreaper used to reap reparented processes'],
      NO_PIVOT,
      ['--empty-ns value', 'create a namespace, but don\'t restore its properties'],
      ['--auto-dedup', 'enable auto deduplication of memory images'],
      ['--lazy-pages', 'use userfaultfd to lazily restore memory pages'],
      ['--lsm-profile value', 'Specify an LSM profile to be used during restore in the form of TYPE:NAME.'],
      ['--lsm-mount-context value', 'Specify an LSM mount context to be used during restore.'],
    ]),
};

export function helpOf(name: string): string {
  const c = COMMANDS[name]!;
  const usage = `NAME:\n   runc ${name} - ${c.usage}\n\nUSAGE:\n   runc ${name} ${c.options.length > 0 ? '[command options] ' : ''}${c.args}${WORDS[name]?.where ?? c.where}\n`;
  const words = WORDS[name]?.description ?? c.description;
  const description = words === '' ? '' : `\nDESCRIPTION:\n${words}\n`;
  const options = c.options.length === 0 ? '' : `\nOPTIONS:\n${tabulate(c.options.map(([flag, what]) => `   ${flag}\t${what}`).join('\n'), 0, 2)}\n   \n`;
  return usage + description + options;
}

export function generalHelp(): string {
  const names = Object.keys(COMMANDS).sort().filter((n) => n !== 'features').concat('features', 'help, h');
  const rows = names.map((n) => `   ${n}\t${COMMANDS[n]?.usage ?? 'Shows a list of commands or help for one command'}`);
  return `NAME:
   runc - Open Container Initiative runtime

runc is a command line client for running applications packaged according to
the Open Container Initiative (OCI) format and is a compliant implementation of the
Open Container Initiative specification.

runc integrates well with existing process supervisors to provide a production
container runtime environment for applications. It can be used with your
existing process monitoring tools and the container will be spawned as a
direct child of the process supervisor.

Containers are configured using bundles. A bundle for a container is a directory
that includes a specification file named "config.json" and a root filesystem.
The root filesystem contains the contents of the container.

To start a new instance of a container:

    # runc run [ -b bundle ] <container-id>

Where "<container-id>" is your name for the instance of the container that you
are starting. The name you provide for the container instance must be unique on
your host. Providing the bundle directory using "-b" is optional. The default
value for "bundle" is the current directory.

USAGE:
   runc [global options] command [command options] [arguments...]

VERSION:
   1.1.15+ds1
commit: 1.1.15+ds1-2+b4
spec: 1.2.0
go: go1.24.4
libseccomp: 2.6.0

COMMANDS:
${tabulate(rows.join('\n'), 0, 2)}

GLOBAL OPTIONS:
${tabulate(GLOBAL.map(([flag, what]) => `   ${flag}\t${what}`).join('\n'), 0, 2)}
`;
}

const GLOBAL: readonly (readonly [string, string])[] = [
  ['--debug', 'enable debug logging'], ['--log value', 'set the log file to write runc logs to (default is \'/dev/stderr\')'], ['--log-format value', "set the log format ('text' (default), or 'json') (default: \"text\")"],
  ['--root value', 'root directory for storage of container state (this should be located in tmpfs) (default: "/run/runc")'], ['--systemd-cgroup', 'enable systemd cgroup support, expects cgroupsPath to be of form "slice:prefix:name" for e.g. "system.slice:runc:434234"'],
  ['--rootless value', "ignore cgroup permission errors ('true', 'false', or 'auto') (default: \"auto\")"], ['--help, -h', 'show help'], ['--version, -v', 'print the version'],
];
export const GLOBAL_SPEC = 'debug log= log-format= root= systemd-cgroup criu= rootless= h/help v/version';
