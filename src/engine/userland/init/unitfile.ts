/** Unit files as text: sections, keys and their values, drop-ins after the file, and what is wrong with them in the manager's words. Source: systemd.syntax(7), systemd.unit(5). */
import { attempt, exists, list, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { sys } from '../../kernel/sys.ts';
import { BadProperty, isResource, writesOf } from './resources.ts';
import { parseSpan } from './span.ts';

export interface Problem {
  path: string;
  /** 0: none in particular. */
  line: number;
  text: string;
}

/** Values by "Section.Key", in order; an empty one forgets those before it where the key is a list. */
export interface Source {
  values: Map<string, string[]>;
  problems: Problem[];
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/));

const UNIT = words(
  'Description Documentation Requires Requisite Wants BindsTo PartOf Upholds Conflicts Before After OnFailure OnSuccess PropagatesReloadTo ReloadPropagatedFrom PropagatesStopTo StopPropagatedFrom JoinsNamespaceOf RequiresMountsFor WantsMountsFor ' +
  'OnFailureJobMode OnSuccessJobMode IgnoreOnIsolate StopWhenUnneeded RefuseManualStart RefuseManualStop AllowIsolate DefaultDependencies SurviveFinalKillSignal CollectMode FailureAction SuccessAction FailureActionExitStatus SuccessActionExitStatus ' +
  'JobTimeoutSec JobRunningTimeoutSec JobTimeoutAction JobTimeoutRebootArgument StartLimitIntervalSec StartLimitInterval StartLimitBurst StartLimitAction RebootArgument SourcePath ConditionPathExists ConditionPathIsDirectory ConditionPathIsSymbolicLink ' +
  'ConditionFileNotEmpty ConditionDirectoryNotEmpty ConditionFileIsExecutable ConditionUser ConditionGroup ConditionHost ConditionVirtualization ConditionArchitecture ConditionKernelCommandLine ConditionKernelVersion ConditionCapability ' +
  'ConditionSecurity ConditionACPower ConditionNeedsUpdate ConditionFirstBoot ConditionMemory ConditionCPUs ConditionEnvironment ConditionPathExistsGlob ConditionPathIsMountPoint ConditionPathIsReadWrite ConditionControlGroupController AssertPathExists AssertPathIsDirectory AssertFileNotEmpty AssertUser',
);
const INSTALL = words('Alias WantedBy RequiredBy UpheldBy Also DefaultInstance');
const EXEC = words(
  'WorkingDirectory RootDirectory RootImage User Group SupplementaryGroups Nice OOMScoreAdjust IOSchedulingClass IOSchedulingPriority CPUSchedulingPolicy CPUSchedulingPriority CPUSchedulingResetOnFork CPUAffinity UMask Environment EnvironmentFile ' +
  'PassEnvironment UnsetEnvironment StandardInput StandardOutput StandardError StandardInputText TTYPath SyslogIdentifier SyslogFacility SyslogLevel SyslogLevelPrefix LogLevelMax Capabilities CapabilityBoundingSet AmbientCapabilities SecureBits ' +
  'LimitCPU LimitFSIZE LimitDATA LimitSTACK LimitCORE LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS LimitSIGPENDING LimitMSGQUEUE LimitNICE LimitRTPRIO LimitRTTIME ReadWritePaths ReadOnlyPaths InaccessiblePaths ExecPaths NoExecPaths ' +
  'PrivateTmp PrivateDevices PrivateNetwork PrivateUsers PrivateMounts PrivateIPC PrivatePIDs ProtectSystem ProtectHome ProtectKernelTunables ProtectKernelModules ProtectKernelLogs ProtectControlGroups ProtectHostname ProtectClock ProtectProc ProcSubset MountFlags ' +
  'NoNewPrivileges SystemCallFilter SystemCallArchitectures SystemCallErrorNumber RestrictAddressFamilies RestrictNamespaces RestrictRealtime RestrictSUIDSGID LockPersonality MemoryDenyWriteExecute RemoveIPC DynamicUser RuntimeDirectory StateDirectory ' +
  'CacheDirectory LogsDirectory ConfigurationDirectory RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectoryMode KeyringMode BindPaths BindReadOnlyPaths TemporaryFileSystem PAMName UtmpIdentifier UtmpMode TimerSlackNSec LoadCredential SetCredential ' +
  'KillMode KillSignal RestartKillSignal SendSIGKILL SendSIGHUP FinalKillSignal WatchdogSignal ' +
  'Slice Delegate DelegateSubgroup DisableControllers ManagedOOMSwap ManagedOOMMemoryPressure ManagedOOMPreference StartupCPUWeight StartupIOWeight StartupAllowedCPUs DefaultMemoryLow DefaultMemoryMin MemoryZSwapMax MemoryZSwapWriteback DevicePolicy DeviceAllow IPAccounting IPAddressAllow IPAddressDeny IODeviceWeight IODeviceLatencyTargetSec CPUShares MemoryLimit MemoryPressureWatch',
);
const SERVICE = words(
  'Type ExitType RemainAfterExit GuessMainPID PIDFile BusName ExecStart ExecStartPre ExecStartPost ExecCondition ExecReload ExecStop ExecStopPost RestartSec RestartSteps RestartMaxDelaySec RestartMode TimeoutStartSec TimeoutStopSec TimeoutAbortSec TimeoutSec ' +
  'TimeoutStartFailureMode TimeoutStopFailureMode RuntimeMaxSec RuntimeRandomizedExtraSec WatchdogSec Restart SuccessExitStatus RestartPreventExitStatus RestartForceExitStatus RootDirectoryStartOnly NonBlocking NotifyAccess Sockets FileDescriptorStoreMax USBFunctionDescriptors OOMPolicy OpenFile ReloadSignal StartLimitInterval StartLimitBurst PermissionsStartOnly',
);
const TIMER = words('OnActiveSec OnBootSec OnStartupSec OnUnitActiveSec OnUnitInactiveSec OnCalendar AccuracySec RandomizedDelaySec FixedRandomDelay DeferReactivation OnClockChange OnTimezoneChange Unit Persistent WakeSystem RemainAfterElapse');
const SOCKET = words('ListenStream ListenDatagram ListenSequentialPacket ListenFIFO ListenSpecial ListenNetlink Accept SocketUser SocketGroup SocketMode DirectoryMode Service Symlinks MaxConnections Backlog BindIPv6Only FreeBind NoDelay KeepAlive RemoveOnStop FileDescriptorName TriggerLimitIntervalSec TriggerLimitBurst PassCredentials ExecStartPre ExecStartPost ExecStopPre ExecStopPost TimeoutSec');
const MOUNT = words('What Where Type Options SloppyOptions LazyUnmount ReadWriteOnly ForceUnmount DirectoryMode TimeoutSec');
const PATH = words('PathExists PathExistsGlob PathChanged PathModified DirectoryNotEmpty Unit MakeDirectory DirectoryMode TriggerLimitIntervalSec TriggerLimitBurst');

const KINDS: Readonly<Record<string, readonly [section: string, keys: readonly ReadonlySet<string>[]]>> = {
  service: ['Service', [SERVICE, EXEC]], slice: ['Slice', [EXEC]], scope: ['Scope', [EXEC]], timer: ['Timer', [TIMER]], socket: ['Socket', [SOCKET, EXEC]], mount: ['Mount', [MOUNT, EXEC]], path: ['Path', [PATH]], target: ['', []],
};

const BOOLEANS = words('RemainAfterExit GuessMainPID PrivateTmp PrivateNetwork NoNewPrivileges DynamicUser SendSIGKILL SendSIGHUP MemoryAccounting CPUAccounting IOAccounting TasksAccounting Persistent WakeSystem RemainAfterElapse RefuseManualStart RefuseManualStop StopWhenUnneeded AllowIsolate DefaultDependencies');
const YES = words('1 yes y true t on');
const NO = words('0 no n false f off');
export const isYes = (value: string): boolean => YES.has(value.toLowerCase());

const CHOICES: Readonly<Record<string, readonly [what: string, values: ReadonlySet<string>]>> = {
  Type: ['service type', words('simple exec forking oneshot dbus notify notify-reload idle')], Restart: ['service restart specifier', words('no on-success on-failure on-abnormal on-watchdog on-abort always')],
  KillMode: ['kill mode', words('control-group process mixed none')], OOMPolicy: ['OOM policy', words('continue stop kill')],
};
const SPANS = words('RestartSec TimeoutStartSec TimeoutStopSec TimeoutSec RuntimeMaxSec WatchdogSec StartLimitIntervalSec AccuracySec RandomizedDelaySec RestartMaxDelaySec');
const WHOLE = { memory: 1, threads: 1 };

/** Why a value is none of its key's, or null. */
function wrong(section: string, key: string, value: string): string | null {
  if (value === '') return null;
  if (BOOLEANS.has(key) && !YES.has(value.toLowerCase()) && !NO.has(value.toLowerCase())) return `Failed to parse boolean value, ignoring: ${value}`;
  const choice = section === 'Service' ? CHOICES[key] : undefined;
  if (choice && !choice[1].has(value)) return `Failed to parse ${choice[0]}, ignoring: ${value}`;
  if (SPANS.has(key) && typeof parseSpan(value) !== 'number') return `Failed to parse ${key}= parameter, ignoring: ${value}`;
  if (/^Nice$/.test(key) && !(/^-?\d+$/.test(value) && Math.abs(Number(value)) <= 20)) return `Failed to parse nice priority '${value}', ignoring: Invalid argument`;
  if (!isResource(key)) return null;
  try {
    writesOf({ [key]: value }, WHOLE);
    return null;
  } catch (error) {
    if (!(error instanceof BadProperty)) throw error;
    if (/^Memory/.test(key)) return `Invalid memory limit '${value}', ignoring: Invalid argument`;
    if (key === 'CPUQuota') return `Invalid CPU quota '${value}', ignoring.`;
    if (key === 'TasksMax') return `Invalid maximum tasks value '${value}', ignoring: ${/range/.test(error.message) ? 'Numerical result out of range' : 'Invalid argument'}`;
    return `Invalid ${/Weight/.test(key) ? 'weight' : key} '${value}', ignoring: ${/range/.test(error.message) ? 'Numerical result out of range' : 'Invalid argument'}`;
  }
}

/** A section that a kind of unit has; what is in others goes unheard. */
export function readSource(kind: string, path: string, text: string, into: Source): void {
  const [own, keys] = KINDS[kind] ?? ['', []];
  let section = '';
  let heard = false;
  const problem = (line: number, said: string): void => void into.problems.push({ path, line, text: said });
  const lines = text.split('\n');
  for (let i = 0; i < lines.length; i++) {
    let raw = lines[i]!.trim();
    if (raw === '' || raw.startsWith('#') || raw.startsWith(';')) continue;
    while (raw.endsWith('\\') && i + 1 < lines.length) raw = `${raw.slice(0, -1).trimEnd()} ${lines[++i]!.trim()}`;
    if (raw.startsWith('[')) {
      section = raw.replace(/^\[|\]$/g, '');
      heard = section === 'Unit' || section === 'Install' || section === own || section.startsWith('X-');
      if (!raw.endsWith(']')) problem(i + 1, `Invalid section header '${raw}'`);
      else if (!heard) problem(i + 1, `Unknown section '${section}'. Ignoring.`);
      continue;
    }
    if (section === '') {
      problem(i + 1, 'Assignment outside of section. Ignoring.');
      continue;
    }
    const cut = raw.indexOf('=');
    if (!heard) continue;
    if (cut < 0) {
      problem(i + 1, "Missing '=', ignoring line.");
      continue;
    }
    const [key, value] = [raw.slice(0, cut).trim(), raw.slice(cut + 1).trim()];
    const known = section.startsWith('X-') || key.startsWith('X-') || (section === 'Unit' ? UNIT.has(key) : section === 'Install' ? INSTALL.has(key) : keys.some((one) => one.has(key)) || (keys.includes(EXEC) && isResource(key)));
    if (!known) {
      problem(i + 1, `Unknown key '${key}' in section [${section}], ignoring.`);
      continue;
    }
    const why = wrong(section, key, value);
    if (why !== null) {
      problem(i + 1, why);
      continue;
    }
    const all = into.values.get(`${section}.${key}`);
    if (value === '') into.values.set(`${section}.${key}`, ['']);
    else into.values.set(`${section}.${key}`, [...(all ?? []).filter((one) => one !== ''), value]);
  }
}

/** Where units are looked for: what comes first wins. Source: systemd.unit(5). */
export const UNIT_DIR = '/etc/systemd/system';
export const UNIT_DIRS: readonly string[] = [UNIT_DIR, '/run/systemd/system', '/usr/local/lib/systemd/system', '/usr/lib/systemd/system'];
const DROP_IN_DIRS = ['/etc/systemd/system.control', '/run/systemd/system.control', '/run/systemd/transient', ...UNIT_DIRS];

/** The drop-ins of a unit, least first; a name met earlier in the search hides later ones. */
export function* dropInPaths(name: string): Call<string[]> {
  const template = name.replace(/@[^.]*\./, '@.');
  const kind = name.slice(name.lastIndexOf('.') + 1);
  const found = new Map<string, string>();
  for (const of of [...new Set([name, template, kind])]) {
    for (const dir of DROP_IN_DIRS) for (const one of yield* list(`${dir}/${of}.d`)) if (one.name.endsWith('.conf') && !found.has(one.name)) found.set(one.name, `${dir}/${of}.d/${one.name}`);
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, path]) => path);
}

/** The file of a unit, or null; an instance's is its template's. */
export function* unitPath(name: string): Call<string | null> {
  for (const one of /@[^.]+\./.test(name) ? [name, name.replace(/@[^.]*\./, '@.')] : [name]) {
    for (const dir of UNIT_DIRS) if (yield* exists(`${dir}/${one}`)) return `${dir}/${one}`;
  }
  return null;
}

/** A link to /dev/null. */
export function* isMasked(path: string): Call<boolean> {
  return (yield* attempt(sys('readlinkat', -100, path), '')) === '/dev/null';
}

/** The file and its drop-ins, read in order. */
export function* sourceOf(name: string, path: string | null): Call<Source> {
  const into: Source = { values: new Map(), problems: [] };
  const kind = name.slice(name.lastIndexOf('.') + 1);
  if (path !== null) readSource(kind, path, (yield* tryRead(path)) ?? '', into);
  for (const one of yield* dropInPaths(name)) readSource(kind, one, (yield* tryRead(one)) ?? '', into);
  return into;
}
