/** Queries running kernels for their context (names, columns, attributes) after each execution, as the server does. */

import { type Kernel, KernelMessage } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import type { IDescription, IKernelContext } from './names';

/** Milliseconds after an execution: the next of several cells may follow immediately. */
const SETTLE = 150;
/** The timeout of a query in milliseconds. */
const TIMEOUT = 5000;
/** Characters of a name. */
const MAX_LENGTH = 512;

/** One kernel: installs a comm target silently, then opens a comm for each query. */
class Watch {
  constructor(private readonly _kernel: Kernel.IKernelConnection) {
    _kernel.iopubMessage.connect((_, message) => this._hear(message));
    _kernel.statusChanged.connect((_, status) => {
      if (status === 'restarting' || status === 'autorestarting' || status === 'starting') {
        this._installed = false;
        this._comm = '';
        this.facts = null;
      }
    });
    this._soon();
  }

  facts: IKernelContext | null = null;

  close(): void {
    clearTimeout(this._timer);
    this._isGone = true;
  }

  private _soon(): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => {
      this._ask().catch(() => {
        this._isDue = true; // the probe could not be loaded, or the kernel has ended
      });
    }, SETTLE);
  }

  private async _ask(): Promise<void> {
    const info = await this._kernel.info;
    if (info.language_info.name !== 'python') {
      return;
    }
    const { INSTALLATION, TARGET } = await import('./probe');
    if (this._isGone) {
      return;
    }
    this._isDue =
      this._kernel.status === 'busy' || (this._comm !== '' && performance.now() - this._askedAt < TIMEOUT);
    if (this._isDue) {
      return; // queried again once the kernel is idle
    }
    const { clientId: session, username } = this._kernel;
    const from = { channel: 'shell', session, username } as const;
    if (!this._installed) {
      const content = {
        code: INSTALLATION,
        silent: true,
        store_history: false,
        user_expressions: {},
        allow_stdin: false,
        stop_on_error: false
      };
      this._send(
        KernelMessage.createMessage<KernelMessage.IExecuteRequestMsg>({
          ...from,
          msgType: 'execute_request',
          content
        })
      );
      this._installed = true;
    }
    this._comm = UUID.uuid4();
    this._askedAt = performance.now();
    this._send(
      KernelMessage.createMessage<KernelMessage.ICommOpenMsg<'shell'>>({
        ...from,
        msgType: 'comm_open',
        content: { comm_id: this._comm, target_name: TARGET, data: {} }
      })
    );
  }

  private _send(message: KernelMessage.IExecuteRequestMsg | KernelMessage.ICommOpenMsg<'shell'>): void {
    this._ours.add(message.header.msg_id);
    this._kernel.sendShellMessage(message, false, true);
  }

  private _hear(message: KernelMessage.IIOPubMessage): void {
    if (KernelMessage.isCommMsgMsg(message) && message.content.comm_id === this._comm) {
      this._comm = '';
      this.facts = readContext(message.content.data);
    } else if (KernelMessage.isCommCloseMsg(message) && message.content.comm_id === this._comm) {
      this._comm = '';
      // The comm target is missing: this is a new kernel process.
      this._installed = false;
      this.facts = null;
    } else if (KernelMessage.isStatusMsg(message) && message.content.execution_state === 'idle') {
      const parent = message.parent_header as Partial<KernelMessage.IHeader>;
      const isOurs = this._ours.delete(parent.msg_id ?? '');
      // Another client may have executed code, too.
      if (this._isDue || (parent.msg_type === 'execute_request' && !isOurs)) {
        this._soon();
      }
    }
  }

  private readonly _ours = new Set<string>();
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _installed = false;
  private _comm = '';
  private _askedAt = 0;
  /** whether to query it once it is idle */
  private _isDue = false;
  private _isGone = false;
}

/** The contexts of kernels. */
export class KernelContexts {
  constructor(private readonly _connect: (id: string) => Kernel.IKernelConnection) {}

  /** Return the current context of a kernel; start to watch it. */
  of(id: string | null | undefined): IKernelContext | null {
    if (!id) {
      return null;
    }
    let watch = this._watches.get(id);
    if (!watch) {
      const kernel = this._connect(id);
      const made = (watch = new Watch(kernel));
      this._watches.set(id, made);
      kernel.disposed.connect(() => {
        made.close();
        this._watches.delete(id);
      });
    }
    return watch.facts;
  }

  private readonly _watches = new Map<string, Watch>();
}

/** Validate the data that a kernel sent; return null if it is invalid. */
function readContext(data: unknown): IKernelContext | null {
  const { names } = (data ?? {}) as { names?: unknown };
  if (typeof names !== 'object' || names === null) {
    return null;
  }
  const facts = Object.entries(names as Record<string, unknown>);
  return facts.every(([name, fact]) => isWord(name) && isDescription(fact))
    ? { names: names as IKernelContext['names'] }
    : null;
}

function isDescription(value: unknown): value is IDescription {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const { module, columns, attributes } = value as Record<keyof IDescription, unknown>;
  return (
    (module == null || isWord(module)) &&
    (columns == null || isList(columns, isColumn)) &&
    (attributes == null || isList(attributes, isWord))
  );
}

function isWord(value: unknown): boolean {
  return typeof value === 'string' && value.length <= MAX_LENGTH;
}

function isColumn(value: unknown): boolean {
  return isList(value, isWord) && (value as unknown[]).length === 2;
}

function isList(value: unknown, each: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(each);
}
