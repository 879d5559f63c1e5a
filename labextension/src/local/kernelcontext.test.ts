import { type Kernel, KernelMessage } from '@jupyterlab/services';
import { Signal } from '@lumino/signaling';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { KernelFacts } from './kernelcontext';

const SETTLE = 200;
const unhandled = vi.fn();

/** A kernel that notes what it is sent. */
class FakeKernel {
  readonly iopubMessage = new Signal<this, KernelMessage.IIOPubMessage>(this);
  readonly statusChanged = new Signal<this, Kernel.Status>(this);
  readonly disposed = new Signal<this, void>(this);
  readonly clientId = 'here';
  readonly username = '';
  readonly status = 'idle';
  isKnown = true;
  readonly sent: string[] = [];
  private _comm = '';

  get info(): Promise<unknown> {
    const info = { language_info: { name: 'python' } };
    return this.isKnown ? Promise.resolve(info) : Promise.reject(new Error('Canceled'));
  }

  sendShellMessage(message: KernelMessage.IMessage): void {
    this.sent.push(message.header.msg_type);
    if (message.header.msg_type === 'comm_open') {
      this._comm = (message as KernelMessage.ICommOpenMsg<'shell'>).content.comm_id;
    }
  }

  /** Answer the last question. */
  answer(): void {
    this.iopubMessage.emit(
      KernelMessage.createMessage<KernelMessage.ICommMsgMsg<'iopub'>>({
        channel: 'iopub',
        msgType: 'comm_msg',
        session: 'kernel',
        content: { comm_id: this._comm, data: { names: {}, all: true } }
      })
    );
  }

  /** End a comm without an answer, as a kernel does that has no handler for it. */
  close(): void {
    this.iopubMessage.emit(
      KernelMessage.createMessage<KernelMessage.ICommCloseMsg<'iopub'>>({
        channel: 'iopub',
        msgType: 'comm_close',
        session: 'kernel',
        content: { comm_id: this._comm, data: {} }
      })
    );
  }

  /** Send the idle status after a request. */
  idle(asked: KernelMessage.MessageType = 'complete_request'): void {
    const message = KernelMessage.createMessage<KernelMessage.IStatusMsg>({
      channel: 'iopub',
      msgType: 'status',
      session: 'kernel',
      content: { execution_state: 'idle' },
      parentHeader: { msg_type: asked, msg_id: 'theirs' } as KernelMessage.IHeader<never>
    });
    this.iopubMessage.emit(message);
  }
}

let kernel: FakeKernel;
let facts: KernelFacts;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  process.on('unhandledRejection', unhandled);
  kernel = new FakeKernel();
  facts = new KernelFacts(() => kernel as unknown as Kernel.IKernelConnection);
});

afterEach(() => {
  vi.useRealTimers();
  vi.doUnmock('./probe');
  process.off('unhandledRejection', unhandled);
  unhandled.mockClear();
});

/** Wait until it has asked, or failed to. */
async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(SETTLE);
  await vi.dynamicImportSettled();
  await new Promise(resolve => setImmediate(resolve));
}

describe("a kernel's facts", () => {
  it('are requested later, without a message, if the code for it cannot be downloaded', async () => {
    vi.doMock('./probe', () => {
      throw new Error('Loading chunk 303 failed.');
    });
    expect(facts.of('kernel')).toBeNull();
    await settled();
    expect(kernel.sent).toEqual([]);
    vi.doUnmock('./probe');
    vi.resetModules();
    kernel.idle();
    await settled();
    expect(kernel.sent).toEqual(['execute_request', 'comm_open']);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('are asked for later where it does not say what it is', async () => {
    kernel.isKnown = false;
    facts.of('kernel');
    await settled();
    kernel.isKnown = true;
    kernel.idle();
    await settled();
    expect(kernel.sent).toEqual(['execute_request', 'comm_open']);
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('are asked for again after an execution as soon as there is an answer, without a close', async () => {
    facts.of('kernel');
    await settled();
    kernel.answer();
    expect(facts.of('kernel')).not.toBeNull();
    kernel.idle('execute_request');
    await settled();
    expect(kernel.sent).toEqual(['execute_request', 'comm_open', 'comm_open']);
  });

  it('are asked for from the beginning after a close without an answer, not after one that follows it', async () => {
    facts.of('kernel');
    await settled();
    kernel.answer();
    kernel.close();
    expect(facts.of('kernel')).not.toBeNull();
    kernel.idle('execute_request');
    await settled();
    kernel.close();
    expect(facts.of('kernel')).toBeNull();
    kernel.idle('execute_request');
    await settled();
    const first = ['execute_request', 'comm_open'];
    expect(kernel.sent).toEqual([...first, 'comm_open', ...first]);
  });
});
