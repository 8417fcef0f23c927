// Package remote logs in to hosts over SSH and runs programs on them, without
// an ssh program.
//
// Its rule: the host key is verified on every connection, jump hosts included,
// and there is no way to switch that off. Every wait has a limit: a host that
// stops answering ends as a *LostError, never as a hang. What went wrong can
// be told apart with errors.As (UnreachableError, HandshakeError,
// HostKeyError, AuthError, SessionError, LostError), because a deploy decides
// by it; a program that failed is a *process.Error as for local runs.
//
// It does not know what it runs, keeps no connections for others, and reads no
// ssh_config.
package remote
