/** Processes: pids in namespaces, groups, waiting, reparenting, signals, stops; each case is a program and what it prints. */
import { expect, test } from 'vitest';
import {
  CLONE_FILES, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_THREAD, CLONE_VFORK, CLONE_VM, SIG, WNOHANG, WUNTRACED, WCONTINUED,
} from '../../../src/engine/kernel/abi.ts';
import { type Body, compute, type Request, sys } from '../../../src/engine/kernel/sys.ts';
import { text } from '../../../src/engine/sim/text.ts';
import { MS, SECOND } from '../../../src/engine/sim/units.ts';
import { outcome, put, run } from './harness.ts';

type Call<T> = Generator<Request, T, unknown>;

function* fork(body: () => Body, flags = 0): Call<number> {
  return yield* sys('clone', { flags, run: body });
}
const say = (...parts: unknown[]): Call<void> => put(1, `${parts.join(' ')}\n`);

const CASES: Record<string, [() => Body, string]> = {
  'a child of CLONE_NEWPID is 1 inside, another number outside': [
    function* (): Body {
      const pid = yield* fork(function* (): Body {
        yield* say('inside', yield* sys('getpid'), yield* sys('getppid'));
        const grand = yield* fork(function* (): Body {
          yield* say('grandchild', yield* sys('getpid'), yield* sys('getppid'));
          return 0;
        });
        yield* sys('wait4', grand, 0);
        return 0;
      }, CLONE_NEWPID);
      const ended = yield* sys('wait4', pid, 0);
      yield* say('outside same', ended.pid === pid);
      return 0;
    },
    'inside 1 0\ngrandchild 2 1\noutside same true\n',
  ],
  'the end of a namespace\'s init kills everybody in it': [
    function* (): Body {
      const [r, w] = yield* sys('pipe2', 0);
      const init = yield* fork(function* (): Body {
        for (let i = 0; i < 3; i++) {
          yield* fork(function* (): Body {
            yield* sys('pause');
            return 0;
          });
        }
        yield* sys('nanosleep', 10 * MS);
        return 5;
      }, CLONE_NEWPID);
      yield* sys('close', w);
      const ended = yield* sys('wait4', init, 0);
      yield* say(ended.status >> 8, (yield* sys('read', r, 10)).length, yield* outcome(sys('wait4', -1, 0)));
      return 0;
    },
    '5 0 ECHILD\n',
  ],
  'orphans go to the subreaper': [
    function* (): Body {
      yield* sys('prctl', 'PR_SET_CHILD_SUBREAPER', 1);
      const me = yield* sys('getpid');
      const [r, w] = yield* sys('pipe2', 0);
      const mid = yield* fork(function* (): Body {
        yield* fork(function* (): Body {
          yield* sys('nanosleep', 5 * MS);
          yield* put(w, `${(yield* sys('getppid')) === me}`);
          return 9;
        });
        return 0;
      });
      yield* sys('wait4', mid, 0);
      const other = yield* sys('wait4', -1, 0);
      yield* say(text(yield* sys('read', r, 10)), other.status >> 8);
      return 0;
    },
    'true 9\n',
  ],
  'stop, continue and end are reported': [
    function* (): Body {
      const pid = yield* fork(function* (): Body {
        for (;;) yield* sys('nanosleep', SECOND);
      });
      yield* say((yield* sys('wait4', pid, WNOHANG)).pid);
      yield* sys('kill', pid, SIG.STOP);
      yield* say((yield* sys('wait4', pid, WUNTRACED)).status === ((SIG.STOP << 8) | 0x7f));
      yield* sys('kill', pid, SIG.CONT);
      yield* say((yield* sys('wait4', pid, WCONTINUED)).status === 0xffff);
      yield* sys('kill', pid, SIG.TERM);
      yield* say((yield* sys('wait4', pid, 0)).status === SIG.TERM);
      return 0;
    },
    '0\ntrue\ntrue\ntrue\n',
  ],
  'a handler interrupts a read, or with SA_RESTART does not': [
    function* (): Body {
      const [r, w] = yield* sys('pipe2', 0);
      for (const restart of [false, true]) {
        yield* sys('rt_sigaction', SIG.ALRM, {
          *handler(signal): Body {
            yield* say('handler', signal);
          },
          restart,
        });
        yield* sys('alarm', 1);
        const pid = yield* fork(function* (): Body {
          yield* sys('nanosleep', 2 * SECOND);
          yield* put(w, 'late');
          return 0;
        });
        const got = yield* outcome(sys('read', r, 10));
        yield* say(typeof got === 'string' ? got : text(got));
        yield* sys('wait4', pid, 0);
        if (!restart) yield* sys('read', r, 10);
      }
      return 0;
    },
    'handler 14\nEINTR\nhandler 14\nlate\n',
  ],
  'signals blocked wait; ignored ones are gone; SIGKILL is not to be caught': [
    function* (): Body {
      const me = yield* sys('getpid');
      yield* sys('rt_sigprocmask', 'block', [SIG.USR1]);
      yield* sys('rt_sigaction', SIG.USR1, { handler: function* (): Body { yield* say('late'); } });
      yield* sys('kill', me, SIG.USR1);
      yield* say('first');
      yield* sys('rt_sigprocmask', 'unblock', [SIG.USR1]);
      yield* say(yield* outcome(sys('rt_sigaction', SIG.KILL, { handler: 'ignore' })));
      yield* sys('rt_sigaction', SIG.TERM, { handler: 'ignore' });
      yield* sys('kill', me, SIG.TERM);
      yield* say('alive', yield* outcome(sys('kill', 99999, 0)));
      return 0;
    },
    'first\nlate\nEINVAL\nalive ESRCH\n',
  ],
  'init of a namespace shields itself from its own': [
    function* (): Body {
      const pid = yield* fork(function* (): Body {
        yield* sys('kill', 1, SIG.KILL);
        yield* sys('kill', 1, SIG.TERM);
        yield* say('still here');
        yield* sys('pause');
        return 0;
      }, CLONE_NEWPID);
      yield* sys('nanosleep', 10 * MS);
      yield* sys('kill', pid, SIG.KILL);
      yield* say((yield* sys('wait4', pid, 0)).status);
      return 0;
    },
    'still here\n9\n',
  ],
  'vfork waits until exec or exit': [
    function* (): Body {
      const pid = yield* fork(function* (): Body {
        yield* compute(20 * MS);
        yield* say('child first');
        return 0;
      }, CLONE_VFORK | CLONE_VM);
      yield* say('parent');
      yield* sys('wait4', pid, 0);
      return 0;
    },
    'child first\nparent\n',
  ],
  'threads share a pid, descriptors and an end': [
    function* (): Body {
      const me = yield* sys('getpid');
      const pid = yield* fork(function* (): Body {
        const tid = yield* fork(function* (): Body {
          yield* say((yield* sys('getpid')) !== me, (yield* sys('gettid')) !== (yield* sys('getpid')));
          yield* sys('pause');
          return 0;
        }, CLONE_THREAD | CLONE_VM | CLONE_FILES);
        yield* sys('nanosleep', MS);
        yield* say(tid > 0);
        return 4;
      });
      yield* say((yield* sys('wait4', pid, 0)).status >> 8);
      return 0;
    },
    'true true\ntrue\n4\n',
  ],
  'unshare -p without a fork: the second fork fails': [
    function* (): Body {
      yield* sys('unshare', CLONE_NEWPID);
      const one = yield* fork(function* (): Body {
        return 0;
      });
      yield* sys('wait4', one, 0);
      yield* say(yield* outcome(fork(function* (): Body { return 0; })));
      return 0;
    },
    'ENOMEM\n',
  ],
  'hostnames are a namespace\'s own': [
    function* (): Body {
      const pid = yield* fork(function* (): Body {
        yield* sys('sethostname', 'inner');
        yield* say((yield* sys('uname')).nodename);
        return 0;
      }, CLONE_NEWUTS);
      yield* sys('wait4', pid, 0);
      yield* say((yield* sys('uname')).nodename);
      return 0;
    },
    'inner\ntest\n',
  ],
  'an unprivileged user namespace': [
    function* (): Body {
      yield* sys('setresgid', 1000, 1000, 1000);
      yield* sys('setresuid', 1000, 1000, 1000);
      yield* say(yield* outcome(sys('unshare', CLONE_NEWNS)), yield* outcome(sys('sethostname', 'x')));
      yield* sys('unshare', CLONE_NEWUSER | CLONE_NEWUTS);
      yield* say(yield* sys('getuid'), (yield* sys('capget', 0)).effective.length, yield* outcome(sys('sethostname', 'mine')));
      yield* say(yield* outcome(sys('setpriority', 0, 0, -5)), yield* outcome(sys('setgroups', [])));
      return 0;
    },
    'EPERM EPERM\n65534 41 0\nEACCES EPERM\n',
  ],
  'process groups and sessions': [
    function* (): Body {
      const me = yield* sys('getpid');
      yield* say(yield* outcome(sys('setsid')), (yield* sys('getpgid', 0)) === me, (yield* sys('getsid', 0)) === me);
      const pid = yield* fork(function* (): Body {
        yield* sys('setpgid', 0, 0);
        yield* say((yield* sys('getpgid', 0)) === (yield* sys('getpid')), yield* outcome(sys('setsid')));
        return 0;
      });
      yield* sys('wait4', pid, 0);
      yield* say(yield* outcome(sys('setpgid', 1, 0)));
      return 0;
    },
    'EPERM true true\ntrue EPERM\nESRCH\n',
  ],
};

test.each(Object.entries(CASES))('%s', (_name, [program, expected]) => {
  const ran = run(program);
  expect(ran.stdout).toBe(expected);
  expect(ran.status).toBe(0);
});
