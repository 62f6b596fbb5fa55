{{/* What the container of a sidecar and that of the gateway have in common. `of`: the values of either. */}}
{{- define "sallyport.container" -}}
name: sallyport
image: {{ include "sallyport.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [serve, --watch, --config, /etc/sallyport/sallyport.yaml]
startupProbe:
  httpGet:
    path: /startupz
    port: 15091
  periodSeconds: 1
  failureThreshold: {{ .of.startupSeconds }}
livenessProbe:
  httpGet:
    path: /livez
    port: 15091
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
lifecycle:
  preStop:
    sleep:
      seconds: {{ .of.preStopSeconds }}
resources: {{- toYaml .of.resources | nindent 2 }}
securityContext: {{- include "sallyport.securityContext" . | nindent 2 }}
{{- end -}}

{{/* Pod Security `restricted`, whatever the pod says. */}}
{{- define "sallyport.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What no schema can say, because it is of two values. */}}
{{- define "sallyport.checkGateway" -}}
{{- with .Values.gateway -}}
{{- if gt (int .autoscaling.minReplicas) (int .autoscaling.maxReplicas) -}}
{{- fail "gateway.autoscaling: minReplicas is more than maxReplicas" -}}
{{- end -}}
{{- if ge (int .preStopSeconds) (int .terminationGracePeriodSeconds) -}}
{{- fail "gateway.preStopSeconds leaves nothing of terminationGracePeriodSeconds for what is under way" -}}
{{- end -}}
{{- end -}}
{{- end -}}
