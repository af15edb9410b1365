/** @file Names that other trainers have for our options. Whoever comes from another trainer gets the name that is used here. */

/** Name elsewhere -> our key, in snake_case; flags are the same words with dashes. */
const ALIASES: Readonly<Record<string, readonly string[]>> = {
  lr: ['learning_rate', 'max_lr', 'base_lr', 'peak_lr', 'rate'],
  lr_min_ratio: ['min_lr', 'min_learning_rate', 'lr_end', 'final_lr'],
  steps: [
    'iters',
    'max_iters',
    'iterations',
    'num_iters',
    'max_steps',
    'num_steps',
    'train_steps',
    'total_steps',
  ].concat(['updates', 'epochs', 'epoch', 'num_epochs', 'max_epochs', 'num_train_epochs']),
  batch_size: [
    'batch',
    'bs',
    'bsz',
    'micro_batch_size',
    'train_batch_size',
    'per_device_train_batch_size',
    'batch_rows',
  ],
  row_bytes: [
    'block_size',
    'context',
    'context_length',
    'context_size',
    'ctx',
    'ctx_len',
    'seq_len',
    'seq_length',
  ].concat(['sequence_length', 'max_seq_len', 'max_seq_length', 'max_length']),
  grad_accumulation: ['gradient_accumulation_steps', 'grad_accum', 'accumulate', 'accumulation_steps', 'accumulation'],
  grad_clip: ['max_grad_norm', 'clip', 'clip_grad', 'gradient_clip', 'gradient_clip_val', 'clip_norm'],
  schedule: ['lr_schedule', 'lr_scheduler', 'lr_scheduler_type', 'scheduler', 'lr_decay_style'],
  decay_fraction: ['cooldown_fraction', 'decay_ratio'],
  weight_decay: ['wd', 'l2'],
  warmup_steps: ['warmup', 'warmup_iters', 'num_warmup_steps', 'warm_up'],
  eval_every: ['eval_interval', 'eval_steps', 'evaluate_every', 'val_every', 'val_interval', 'validate_every'],
  save_every: ['save_interval', 'save_steps', 'checkpoint_every', 'checkpoint_interval', 'ckpt_every'],
  keep_last: ['save_total_limit', 'keep_checkpoints', 'max_checkpoints'],
  patience: ['early_stopping', 'early_stop', 'early_stopping_patience'],
  minutes: ['max_time', 'time_limit', 'time', 'max_minutes'],
  ema: ['ema_decay'],
  recompute: ['gradient_checkpointing', 'activation_checkpointing', 'checkpointing', 'remat'],
  global_layers: ['n_layer', 'n_layers', 'num_layers', 'num_hidden_layers', 'layers', 'depth'],
  global_heads: ['n_head', 'n_heads', 'num_heads', 'num_attention_heads', 'heads'],
  global_width: ['n_embd', 'd_model', 'dim', 'hidden_size', 'embed_dim', 'embedding_size', 'width'],
  size: ['model_size', 'preset', 'model_type'],
  run: ['name', 'run_name', 'out_dir', 'output_dir', 'output', 'experiment', 'exp_name'],
  data: ['dataset', 'train_data', 'train_file', 'data_path', 'data_dir', 'corpus', 'input', 'file', 'text_file'],
  held_out: ['val_data', 'valid', 'validation', 'validation_file', 'val_file', 'eval_data', 'test_data'],
  held_out_fraction: ['val_split', 'val_fraction', 'validation_split', 'test_size', 'val_ratio'],
  text_field: ['text_column', 'text_key', 'column', 'field'],
  backend: ['device', 'accelerator'],
  threads: ['num_threads', 'workers', 'num_workers', 'jobs', 'cpus', 'n_threads'],
  seed: ['random_seed', 'manual_seed'],
  resume: ['continue', 'resume_from', 'resume_from_checkpoint', 'init_from', 'load', 'checkpoint', 'ckpt'],
  // The other commands'.
  max_bytes: ['max_tokens', 'max_new_tokens', 'num_tokens', 'n_predict', 'length', 'max_len', 'tokens', 'bytes'],
  model: ['checkpoint', 'ckpt', 'model_path', 'model_dir', 'weights_path', 'model_name_or_path', 'run'],
  temperature: ['temp'],
  prompt: ['start', 'text', 'input', 'prefix'],
  top_p: ['nucleus', 'p'],
  out: ['output', 'output_dir', 'out_dir', 'output_path', 'dest', 'destination', 'save_to', 'to'],
  dtype: ['precision', 'torch_dtype'],
  json: ['as_json', 'format_json'],
  port: ['listen'],
};

/** Our names for what others call `name`, snake_case or kebab-case; those that `exists` knows. */
export function ourNames(name: string, exists: (key: string) => boolean): string[] {
  const theirs = name.toLowerCase().replaceAll('-', '_');
  return Object.entries(ALIASES)
    .filter(([ours, others]) => others.includes(theirs) && exists(ours))
    .map(([ours]) => ours);
}

/** Said beside our name where the two do not mean the same. */
export function meaningOf(theirs: string): string {
  if (/epoch/.test(theirs)) return '; training is counted in steps, not epochs';
  if (/^min_l|_lr$|^lr_end$/.test(theirs) && !/^(max|base|peak)_/.test(theirs)) return ', as a share of lr';
  return '';
}
