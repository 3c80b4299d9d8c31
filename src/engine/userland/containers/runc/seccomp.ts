/** The filter of a spec, loaded into the kernel by the process that it is for. Source: OCI runtime spec, runc libcontainer/seccomp. */
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { Refused } from './identity.ts';
import type { Seccomp } from './spec.ts';

const ACTIONS: Readonly<Record<string, 'kill_process' | 'kill_thread' | 'trap' | 'errno' | 'trace' | 'log' | 'allow'>> = {
  SCMP_ACT_KILL: 'kill_thread', SCMP_ACT_KILL_THREAD: 'kill_thread', SCMP_ACT_KILL_PROCESS: 'kill_process', SCMP_ACT_TRAP: 'trap', SCMP_ACT_ERRNO: 'errno', SCMP_ACT_TRACE: 'trace', SCMP_ACT_LOG: 'log',
  SCMP_ACT_ALLOW: 'allow',
};
const OPERATORS = ['SCMP_CMP_NE', 'SCMP_CMP_LT', 'SCMP_CMP_LE', 'SCMP_CMP_EQ', 'SCMP_CMP_GE', 'SCMP_CMP_GT', 'SCMP_CMP_MASKED_EQ'] as const;

function actionOf(name: string): (typeof ACTIONS)[string] {
  if (name === 'SCMP_ACT_NOTIFY') throw new Refused('not modelled: SCMP_ACT_NOTIFY');
  const action = ACTIONS[name];
  if (!action) throw new Refused(`unable to init seccomp: error converting string to seccomp action: string ${name} is not a valid action for seccomp`);
  return action;
}

function operatorOf(name: string): (typeof OPERATORS)[number] {
  const op = OPERATORS.find((one) => one === name);
  if (!op) throw new Refused(`unable to init seccomp: error converting string to seccomp operator: string ${name} is not a valid operator for seccomp`);
  return op;
}

/** Throws Refused for a profile with what no filter has, SysError EACCES. */
export function* loadSeccomp(profile: Seccomp): Call<void> {
  yield* sys('seccomp', {
    defaultAction: actionOf(profile.defaultAction),
    ...(profile.defaultErrnoRet === undefined ? {} : { defaultErrno: profile.defaultErrnoRet }),
    rules: (profile.syscalls ?? []).map((rule) => ({
      names: rule.names, action: actionOf(rule.action), ...(rule.errnoRet === undefined ? {} : { errno: rule.errnoRet }),
      ...(rule.args?.length ? { args: rule.args.map((arg) => ({ index: arg.index, value: arg.value, ...(arg.valueTwo === undefined ? {} : { valueTwo: arg.valueTwo }), op: operatorOf(arg.op) })) } : {}),
    })),
  });
}
